# Messages begin with the name that the program was called by.
tmp=$(mktemp -d) && ln -s "$dyntrace" "$tmp/dtrace" || exit 1
"$tmp/dtrace" -n 'BEGIN { nonesuch(); }'
"$tmp/dtrace" -G
"$tmp/dtrace" -V | sed 's/ 0\..*,/ VERSION,/'
"$tmp/dtrace" -n 'BEGIN { printf("%s", execname); exit(0); }' -q
rm -r "$tmp"
