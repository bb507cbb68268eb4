# SPDX-License-Identifier: MIT
# Arguments, results, stacks with lines; babeltrace2 reads the same number of events.
. ./lib.sh
printf 'go\n' | "$dyntrace" record -c "$triggers/calls 1 10" -g -o "$trace" leaf work floating:entry > /dev/null
"$dyntrace" dump "$trace" > "$tmp/dump"
counts < "$tmp/dump"
babel "$trace"
grep -m1 -A2 'calls:leaf:entry a=0 b=1' "$tmp/dump" | tail -2 | sed 's|(.*/|(|; s|) .*/|) |; s/^[ \t]*[0-9a-f]* //'
grep -m3 'floating:entry' "$tmp/dump" | sed 's/.*:entry//'
grep -o 'leaf: { cpu.*\|leaf:return: .*' "$tmp/babel" | grep -o 'ret = [0-9]*' | head -3
