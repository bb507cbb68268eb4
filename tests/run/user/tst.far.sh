# Gigabytes lie between the areas that a body addresses.
$dyntrace -q -x dynvarsize=3g -n '
pid$target:a.out:square:entry { @e[probefunc] = count(); @n = count(); }
pid$target:a.out:square:return /arg1 == 0x100000000/ { @r = count(); }
pid$target:a.out:square:return { @s = quantize(arg1); }' -c "$triggers/answers"
