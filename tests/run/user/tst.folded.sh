# Stacks in one line: wherever in its functions one was taken, it is one key.
$dyntrace -q -x foldstacks -n '
pid$target:a.out:square: { @all[ustack(1)] = count(); @each[probename] = count(); }
END { printa("%k %@d\n", @all); printf("--\n"); printa("%s %@d\n", @each); }' -c "$triggers/answers" |
	awk '/^--/ { then = 1; next } !then && /;/ { print $1; all += $2 } then && NF { places++; each += $2 }
		END { print (places > 3), (all == each) }'
