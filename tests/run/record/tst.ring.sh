# SPDX-License-Identifier: MIT
# A flight recorder: the traced program is killed, its last events are there.
. ./lib.sh
start 1 4000
"$dyntrace" record -p $target --ring 128k -o "$trace" leaf floating 2> /dev/null &
rec=$!
begun
round
round
kill -9 $target
wait $rec
echo "status $?"
"$dyntrace" dump "$trace" 2> /dev/null > "$tmp/dump"
tail -1 "$tmp/dump" | sed 's/.*\] //'
[ "$(wc -l < "$tmp/dump")" -gt 500 ] && echo many
[ "$(cat "$trace"/cpu* | wc -c)" -le 200000 ] && echo small
babeltrace2 "$trace" 2> /dev/null | wc -l | grep -qx "$(wc -l < "$tmp/dump")" && echo the same
