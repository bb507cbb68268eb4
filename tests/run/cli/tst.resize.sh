# Sizes that cannot be had: lowered, and told where nobody asked for quiet; or an error.
tmp=$(mktemp)
try() {
	printf '#pragma D option quietresize=no\nBEGIN { @[1] = count(); a[1] = 1; exit(0); }\n' >"$tmp"
	said=$($dyntrace $* -qs "$tmp" 2>&1 >/dev/null)
	echo "$*: $? $(echo "$said" | sed 's/lowered to [0-9][0-9]*\([kmgt]\| bytes\)$/lowered/')"
}
for o in bufsize aggsize specsize dynvarsize; do
	try -x $o=100t
	try -x $o=100t -x bufresize=manual
	try -x $o=100t -x bufresize=auto
done
try -x bufsize=100t -x aggsize=100t
try -x bufsize=0
try -x aggsize=0
try -x dynvarsize=0
# dtrace's own words about sizes that are no power of two, under its name only.
ln -s "$dyntrace" "$tmp.d" && mkdir "$tmp.bin" && mv "$tmp.d" "$tmp.bin/dtrace"
"$tmp.bin/dtrace" -b 5000 -qn 'BEGIN { exit(0); }'
"$tmp.bin/dtrace" -b 8k -qn 'BEGIN { exit(0); }'
"$tmp.bin/dtrace" -b 5000 -x bufpolicy=ring -qn 'BEGIN { exit(0); }'
$dyntrace -b 5000 -qn 'BEGIN { exit(0); }'
rm -r "$tmp" "$tmp.bin"
