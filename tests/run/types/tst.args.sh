# args[] by the types of the parameters: past a double, in words of the stack, in memory, in pieces; results; enumerators.
$dyntrace -q -n '
pid$target:a.out:draw:entry
{
	printf("%s %d %s\n", stringof(args[0]->name), args[2], stringof(args[3]));
}
pid$target:a.out:draw:return { printf("%d\n", args[1]); }
pid$target:a.out:bounds:return { printf("%d %d\n", args[1].v[0], args[1].v[3]); }
pid$target:a.out:many:entry { printf("%d %d %d %d %d\n", args[1].v[3], args[2], args[6], args[7], args[8]); }
pid$target:a.out:draw:entry /args[0]->colour == BLUE || args[0]->colour == shapes`RED/ { printf("%d %s\n", args[0]->colour, args[0]->name); }
pid$target:a.out:many:entry { printf("%d %d\n", args[0].x, args[0].y); print(args[0]); }
pid$target:a.out:pick:return { printf("%d,%d\n", args[1].x, args[1].y); }
' -c $triggers/shapes
