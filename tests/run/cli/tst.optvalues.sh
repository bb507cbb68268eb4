# Values and places of options, as dtrace checks them.
for o in amin=Stable/Stable/Common amin=Shaky bufpolicy=ring bufpolicy=heap bufresize=auto cpp=1 ctypes disasm=4 evaltime=main \
	evaltime=late iregs=7 iregs=8 iregs=9 linkmode=static linktype=dof lockmem=unlimited lockmem=much nolibs pgmax=-1 tree=0 \
	tregs=4 version=1.6.3 version=2.0 version=2 version=99.1 zdefs; do
	said=$($dyntrace -x $o -qn 'BEGIN { exit(0); }' 2>&1 >/dev/null)
	echo "$o: $? $said"
done
tmp=$(mktemp)
for o in define=x ldpath=/tmp modpath=/tmp lockmem=4k bufsize=8m amin=Stable iregs=9; do
	printf '#pragma D option %s\nBEGIN { exit(0); }\n' $o >"$tmp"
	said=$($dyntrace -qs "$tmp" 2>&1 >/dev/null)
	echo "$o: $? ${said##*: }"
done
for a in "-b lots" "-b 59" "-D x -X q" "-X s"; do
	said=$($dyntrace $a -qn 'BEGIN { exit(0); }' 2>&1 >/dev/null)
	echo "$a: $? $said"
done
rm "$tmp"
$dyntrace -x bufsize=4t -x nspec=1 -qn 'BEGIN { printf("smaller\n"); exit(0); }'
$dyntrace -x bufsize=4t -x bufresize=manual -qn 'BEGIN { exit(0); }'
echo $?
