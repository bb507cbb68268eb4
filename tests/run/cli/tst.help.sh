# "help" is --help, also that of a verb; a script of that name is a script.
unset _DTRACE_TESTING
dir=$(mktemp -d)
cd "$dir" || exit 1
$dyntrace help > short && $dyntrace --help > long && cmp short long && echo the same
for v in add record explain syscalls run dump list-functions list-processes; do
	$dyntrace help $v > short && $dyntrace $v --help > long && cmp short long || echo "$v differs"
done
$dyntrace help help > short && $dyntrace --help | cmp - short && echo of itself
for args in "help recrod" "help nosuch" "help add rm" "-q help"; do
	$dyntrace $args > out 2> err
	echo "$args: $? $(tail -1 err)"
done
printf '#!%s -s\nBEGIN { trace("a script"); exit(0); }\n' "$(command -v $dyntrace)" > help
chmod +x help
$dyntrace -qs help
./help 2>&1 | grep -o 'a script'
ln -s "$(command -v $dyntrace)" dtrace
./dtrace help 2>&1 | grep -c explain
rm -r "$dir"
