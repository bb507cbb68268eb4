# Wrong use: status 2 and a word about it.
for args in "" "-d nonsense" "-y" "-l -V"; do
	said=$($dyntrace $args 2>&1 >/dev/null)
	echo "$args: $? $(echo "$said" | head -1 | cut -c1-60)"
done
