# What add lacks is said first, with an example; the usage follows.
unset _DTRACE_TESTING
for words in '' 4711:work '-n name 4711:work -e' '--json' '-z 4711:work count'; do
	$dyntrace add $words 2>&1 | head -2
done
