# Variables of the program, in its probes and in the tool's own.
$dyntrace -q -n '
BEGIN { printf("%d %d\n", `drawn, a.out`first == NULL); }
pid$target:a.out:draw:return { printf("%d %s\n", `drawn, stringof(shapes`first->name)); }
pid$target:a.out:many:entry { print(`first); printf("%d %s\n", *&`drawn, stringof(`first->next->name)); }' -c $triggers/shapes
