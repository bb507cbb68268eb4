# Objects by their types.
$dyntrace -q -n '
pid$target:a.out:draw:entry /args[0]->next == NULL/
{
	print(args[0]);
	print(&args[0]->corner[1]);
	print(args[0]->corner[1]);
	print(args[0]->corner);
	print(&args[0]->u.i);
}
pid$target:a.out:bounds:return { print(args[1]); }' -c $triggers/shapes
