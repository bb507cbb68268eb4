# SPDX-License-Identifier: MIT
# Live, until the recording ends.
. ./lib.sh
start 1 10
"$dyntrace" record -p $target -d 1 -o "$trace" leaf:entry &
begun
"$dyntrace" dump --follow "$trace" > "$tmp/live" &
dump=$!
round
sleep 0.5
counts < "$tmp/live"
round
wait $dump
echo "status $?"
counts < "$tmp/live"
