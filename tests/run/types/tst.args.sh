# args[] by the types of the parameters: past a double, in words of the stack, in memory; results.
$dyntrace -q -n '
pid$target:a.out:draw:entry
{
	printf("%s %d %s\n", stringof(args[0]->name), args[2], stringof(args[3]));
}
pid$target:a.out:draw:return { printf("%d\n", args[1]); }
pid$target:a.out:bounds:return { printf("%d %d\n", args[1].v[0], args[1].v[3]); }
pid$target:a.out:many:entry { printf("%d %d %d %d %d\n", args[1].v[3], args[2], args[6], args[7], args[8]); }
' -c $triggers/shapes
