# @@exit: 0
# A quote of -c that is not closed is a mistake; one that is holds a word together.
for command in "echo 'one  word'" "echo 'open" 'echo "open' ''; do
	$dyntrace -q -c "$command" -n BEGIN
	echo "status $?"
done
