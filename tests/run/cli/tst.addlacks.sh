# What add lacks is said first, with an example: the process and the place before the tracer.
unset _DTRACE_TESTING
sleep 100 &
trap 'kill $!' EXIT
for words in '' "$!:work" "-n name $!:work -e" '--json' "-z $!:work count" no_such_process no_such_process:work "$!:"; do
	$dyntrace add $words 2>&1 | head -2 | sed "s/$!/4711/g"
done
