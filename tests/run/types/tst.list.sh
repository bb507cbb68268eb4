# The types of arguments in lists.
$dyntrace -lv -n 'pid$target:a.out:draw:,pid$target:a.out:bounds:,pid$target:a.out:many:entry' -c $triggers/shapes |
	sed 's/^ *[0-9]* *pid[0-9]*/ID pidN/'
