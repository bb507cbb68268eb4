# D libraries: compiled before the script, in the order of what they depend on.
tmp=$(mktemp -d) && cd "$tmp" || exit 1
mkdir lib
cat > lib/a.d <<'D'
#pragma D depends_on library b.d
inline int A = B + 1;
D
echo 'inline int B = 41;' > lib/b.d
printf '#pragma D depends_on module nonesuch\nthis is no D\n' > lib/c.d
printf '#pragma D depends_on library c.d\nneither is this\n' > lib/d.d
echo 'BEGIN { left_out = 1; }' > lib/e.d
$dyntrace -L lib -qn 'BEGIN { printf("%d\n", A); exit(0); }'
DTRACE_DEBUG=1 $dyntrace -L lib -e 2>&1 -n BEGIN | grep -o '[ab]\.d sorted'
$dyntrace -L lib -x nolibs -qn 'BEGIN { printf("%d\n", A); exit(0); }'
echo 'inline int C = nothing;' > lib/b.d
$dyntrace -L lib -qn 'BEGIN { exit(0); }'
echo '#pragma D depends_on library a.d' > lib/b.d
$dyntrace -L lib -qn 'BEGIN { exit(0); }'
echo '#pragma D depends_on library z.d' > lib/b.d
$dyntrace -L lib -qn 'BEGIN { exit(0); }'
$dyntrace -L nonesuch -qn 'BEGIN { printf("fine\n"); exit(0); }'
rm -r "$tmp"
