# The other ready scripts: each shows what it was made for.  What two processors wanted at a time may be lost, and said.
# @@timeout: 60
. ./need.sh
rm -f verb.tmp* # -o appends
"$dyntrace" execsnoop -o verb.tmp.e -c 'sh -c "/bin/true one two; /nonexistent/program; true"' >/dev/null 2>&1
awk 'NR == 1 || /one two|nonexistent/ { $1 = $2 = ""; print }' verb.tmp.e
echo --
"$dyntrace" opensnoop -o verb.tmp.o -c 'cat need.sh /nonexistent' >/dev/null 2>&1
awk 'NR == 1 || /need.sh|nonexistent$/ { print $2, $3 < 0 || NR == 1 ? $3 : "fd", $4, $5 }' verb.tmp.o | grep -E 'COMM|^cat'
echo --
"$dyntrace" profile -F 499 -o verb.tmp.p -c 'python3 -c "sum(i * i for i in range(6000000))"' >/dev/null 2>&1
# Folded: the program's name, frames, a number.
grep -v '^$' verb.tmp.p | grep -c -v -E '^[^;]+(;[^;]+)* [0-9]+$'
awk '/^python3/ { n += $NF } END { print (n > 20) }' verb.tmp.p
# One stack, one line.
grep -v '^$' verb.tmp.p | sed 's/ [0-9]*$//' | sort | uniq -d
echo --
"$dyntrace" offcpu -c 'sleep 0.3' >verb.tmp 2>/dev/null
grep -v '^$' verb.tmp | sed 's/ [0-9]*$//' | sort | uniq -d
awk '/^sleep.*nanosleep/ { if ($NF > us) us = $NF } END { print (us > 250000 && us < 2000000) }' verb.tmp
echo --
"$dyntrace" runqlat -d 1 -c 'sh -c "for i in 1 2 3 4 5; do sleep 0.01; done"' >verb.tmp 2>/dev/null
grep -c 'Distribution' verb.tmp
"$dyntrace" biolatency -d 1 >/dev/null 2>&1; echo $?
rm -f verb.tmp*
"$dyntrace" runqlat -p 1 --show-d | head -4
# Names that there are not, and verbs that come too late.
unset _DTRACE_TESTING
for words in offcpus execsnop '-x bufsize=1m syscalls'; do
	"$dyntrace" $words 2>&1 | tail -1
done
