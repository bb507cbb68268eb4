# SPDX-License-Identifier: MIT
# The tool is killed: what it wrote is whole, the program goes on.
. ./lib.sh
start 1 100
"$dyntrace" record -p $target -o "$trace" leaf 2> /dev/null &
rec=$!
begun
round
sleep 0.5
kill -9 $rec
wait $rec 2> /dev/null
"$dyntrace" dump "$trace" | counts
babel "$trace"
round && echo goes on
