# SPDX-License-Identifier: MIT
# Two processes, one of which has the function only under another program; several ways to write a probe.
. ./lib.sh
start 1 10
first=$target
mkfifo "$tmp/sql"
sqlite3 > /dev/null < "$tmp/sql" &
second=$!
exec 7> "$tmp/sql"
echo 'select 1;' >&7
sleep 0.3
"$dyntrace" record -p $first,$second -o "$trace" calls:leaf 'branchy%return' sqlite3_prepare_v2:entry 'work:entry twice=2*arg1 di=%di:s32' &
rec=$!
begun
round
echo 'select 2*3;' >&7
sleep 0.3
kill $rec
wait $rec
echo "status $?"
"$dyntrace" dump "$trace" > "$tmp/dump"
counts < "$tmp/dump" | sed 's/libsqlite3.so[.0-9]*/sqlite/'
grep -m2 work:entry "$tmp/dump" | sed 's/.*:entry//'
babel "$trace"
awk '$5 ~ /prepare/ { print $2 }' "$tmp/dump"
kill $second
