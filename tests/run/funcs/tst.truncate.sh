# ftruncate() throws away what the output file has.
$dyntrace -q -o out.$$ -n 'BEGIN { printf("old\n"); } BEGIN { ftruncate(); printf("new\n"); exit(0); }'
cat out.$$
rm out.$$
