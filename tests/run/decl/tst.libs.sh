dir=$(mktemp -d)
echo '#pragma D depends_on library b.d
inline int a = b + 1;' > $dir/a.d
echo 'inline int b = 1;' > $dir/b.d
$dyntrace -q -L $dir -n 'BEGIN { printf("%d\n", a); exit(0); }'
echo '#pragma D depends_on library a.d' >> $dir/b.d
$dyntrace -q -L $dir -n BEGIN 2>&1 | sed "s,$dir,DIR,"
echo '#pragma D depends_on library none.d' > $dir/b.d
$dyntrace -q -L $dir -n BEGIN 2>&1 | sed "s,$dir,DIR,"
rm -r $dir
