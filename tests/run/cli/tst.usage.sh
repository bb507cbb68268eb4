# Wrong use: status 2 and a word about it.
for args in "" "-d nonsense" "-y" "-l -V"; do
	$dyntrace $args >/dev/null 2>/tmp/dyntrace-usage.$$
	echo "$args: $? $(head -1 /tmp/dyntrace-usage.$$ | cut -c1-60)"
done
rm -f /tmp/dyntrace-usage.$$
