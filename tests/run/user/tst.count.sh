# Entries, returns and their values, in a program that dyntrace starts.
$dyntrace -q -n '
pid$target:a.out:square:entry { @e[probefunc, arg0] = count(); }
pid$target:a.out:square:return { @r[probefunc, arg1] = count(); }' -c "$triggers/answers"
