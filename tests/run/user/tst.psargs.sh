# A process's command line.
$dyntrace -q -n 'pid$target:a.out:square:entry /arg0 == 1/ { printf("[%s] %s\n", curpsinfo->pr_psargs, curpsinfo->pr_fname); }' \
	-c "$triggers/answers 3 some words" | sed 's, *\[[^ ]*/, [,' | grep answers
