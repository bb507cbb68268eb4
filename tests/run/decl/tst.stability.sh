$dyntrace -q -e -v -n 'inline int i = htonl(1); BEGIN /i/ { trace(1) } profile:::tick-1s { }'
for amin in Private/Private/Unknown Evolving/Evolving/Common Stable/Stable/Common; do
	$dyntrace -q -e -xerrtags -x amin=$amin -n 'BEGIN { trace(2 * ntohs(1)); }' 2>&1 && echo fine
done
$dyntrace -e -x amin=Good -n BEGIN 2>&1
exit 0
