# Built-in variables of the traced thread: its own time, the depth of its stack, what tells it from others.
$dyntrace -q -n '
pid$target:a.out:square:entry /arg0 == 1/ { t = vtimestamp; th = curthread; main_depth = ustackdepth; }
pid$target:a.out:square:entry /arg0 == 2/
{
	printf("%d %d %d %d\n", vtimestamp >= t, vtimestamp - vtimestamp, th == curthread && th > 100000, main_depth == ustackdepth);
	printf("%d %d %d %s\n", ustackdepth > 1 && ustackdepth < 20, caller, stackdepth, execname);
}' -c "$triggers/answers" | grep -v "^[a-z]"
