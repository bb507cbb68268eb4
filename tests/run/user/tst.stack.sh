# Frames, symbols and their forms.
$dyntrace -q -n '
pid$target:a.out:square:entry /arg0 == 2/ {
	ustack(2);
	ufunc(arg1); umod(arg1);
	printf("\n%A\n", ucaller == 0 ? 0 : arg1);
	@[ustack(1), ufunc(arg1)] = count();
}' -c "$triggers/answers" | sed 's/+0x[0-9a-f]*/+OFF/'
