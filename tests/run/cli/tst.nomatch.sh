# A description that matches nothing is an error, unless -Z.
$dyntrace -n nothing_like_this
echo $?
$dyntrace -q -Z -n nothing_like_this -n 'BEGIN { printf("began\n"); exit(0); }'
echo $?
$dyntrace -e -n BEGIN
echo $?
