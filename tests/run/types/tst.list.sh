# The types of arguments in lists.
$dyntrace -lv -n 'pid$target:a.out:draw:entry,pid$target:a.out:draw:return,pid$target:a.out:bounds:return,pid$target:a.out:many:entry' -c $triggers/shapes |
	sed 's/^ *[0-9]* *pid[0-9]*/ID pidN/'
