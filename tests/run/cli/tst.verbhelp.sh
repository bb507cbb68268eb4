# Each verb has a help of its own.
for v in explain verify repair record dump list-functions attach add rm run trace enable-event list-processes list-symbols syscalls; do
	$dyntrace $v --help | head -1 | cut -c1-60
done
