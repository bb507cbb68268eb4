# A predicate alone, which the trampoline looks at first, and beside another clause, where only the body does.
for where in entry:arg0 return:arg1; do
	arg=${where#*:} where=${where%:*}
	for p in "$arg == 4" "$arg == 1" "$arg != 1" "$arg < 3" "$arg >= 3" "$arg" "$arg > 1 && $arg < 9" "$arg == 1 || $arg == 9"; do
		one=$($dyntrace -q -n "pid\$target:a.out:square:$where /$p/ { @ = count(); }" -c "$triggers/answers" | tr -d ' \n')
		two=$($dyntrace -q -n "pid\$target:a.out:square:$where /$p/ { @ = count(); } pid\$target:a.out:square:$where { this->x = 1; }" \
			-c "$triggers/answers" | tr -d ' \n')
		[ "$one" = "$two" ] && echo "$where /$p/ $one" || echo "$where /$p/ alone: $one, not alone: $two"
	done
done
