# SPDX-License-Identifier: MIT
# Live, until the recording ends.
. ./lib.sh
start 1 10
"$dyntrace" record -p $target -o "$trace" leaf:entry &
record=$!
begun
: > "$tmp/live" # the shell may look before its child has opened it
"$dyntrace" dump --follow "$trace" > "$tmp/live" &
dump=$!
round
until counts < "$tmp/live" | grep -q 17; do
	sleep 0.02
done
counts < "$tmp/live"
round
kill $record
wait $dump
echo "status $?"
counts < "$tmp/live"
