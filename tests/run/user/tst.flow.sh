$dyntrace -F -n 'pid$target:a.out:square:entry,pid$target:a.out:square:return,pid$target:a.out:main:entry { }' \
	-c "$triggers/answers"
