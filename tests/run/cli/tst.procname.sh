# A process by its name: there must be one.
unset _DTRACE_TESTING
tmp=$(mktemp -d)
trap 'kill $a $b; rm -rf "$tmp"' EXIT
name=named$$
cp "$(command -v sleep)" "$tmp/$name"
"$tmp/$name" 100 & a=$!
until grep -q "$name" /proc/$a/comm; do sleep 0.01; done
$dyntrace -qn 'BEGIN { printf("%d\n", $target == '$a'); exit(0); }' -p $name
$dyntrace verify $name | sed "s/$a/PID/"
"$tmp/$name" 200 & b=$!
until grep -q "$name" /proc/$b/comm; do sleep 0.01; done
$dyntrace -qn 'BEGIN { exit(0); }' -p $name 2>&1 | sed "s/$name/NAME/; s/^ *[0-9]* .*\//PID /; s/$name/NAME/"
for none in no$name ${name%?} xyz$$zyx; do
	$dyntrace -qn 'BEGIN { exit(0); }' -p $none 2>&1 | sed "s/$name/NAME/g; s/${name%?}/NAM/; s/$$/N/g"
done
$dyntrace record -p $name -o "$tmp/t" -d 1 read 2>&1 | head -1 | sed "s/$name/NAME/"
ln -s "$dyntrace" "$tmp/dtrace"
"$tmp/dtrace" -qn 'BEGIN { exit(0); }' -p $name 2>&1 | sed "s/$name/NAME/"
