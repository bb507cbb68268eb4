# A script that may be executed; one whose arguments are not numbers.
tmp=$(mktemp -d) || exit 1
cat > "$tmp/script" <<D
#!$dyntrace -qs
BEGIN { printf("%s %d %s\n", basename(\$0), \$1, \$2); exit(\$1); }
D
chmod +x "$tmp/script"
"$tmp/script" 3 "two words"
echo $?
rm -r "$tmp"
$dyntrace -qn 'BEGIN { printf("%d %s\n", $1, $$1); exit(0); }' 0x10
$dyntrace -qn 'BEGIN { printf("%s %s\n", $1, $2); exit(0); }' '"quoted"' 'a\tb'
$dyntrace -qn 'BEGIN { printf("%d\n", $1); exit(0); }' 99999999999999999999
$dyntrace -qn 'BEGIN { exit(0); }' 1 2
$dyntrace -x argref -qn 'BEGIN { printf("fine\n"); exit(0); }' 1 2
