# What is said where there is no type, no argument, no variable.
# @@exit: 0
for script in 'pid$target:a.out:draw:entry { trace(args[4]); }' \
	'pid$target:a.out:exact:return { trace(args[1]); }' \
	'pid$target:a.out:draw:return { trace(args[2]); }' \
	'pid$target:a.out:draw:4 { trace(args[0]); }' \
	'pid$target:a.out:draw:entry,pid$target:a.out:bounds:entry { trace(args[0]); }' \
	'pid$target:a.out:draw:entry { trace(args[arg0]); }' \
	'BEGIN { trace(args[0]); }' \
	'BEGIN { trace(`no_such_variable); }' \
	'BEGIN { trace(((struct no_such *)0)->x); }' \
	'BEGIN { trace(((struct shape *)0)->no_such); }' \
	'BEGIN { trace((no_such_t *)0); }' \
	'BEGIN { print(1); }' \
	'BEGIN { print((struct no_such *)0); }' \
	'BEGIN { `drawn = 1; }' \
	'pid$target:a.out:draw:entry { args[2]++; }'; do
	$dyntrace -q -xerrtags -n "$script" -c $triggers/shapes 2>&1 | sed 's/pid[0-9][0-9]*/pidN/'
done
