# SPDX-License-Identifier: MIT
# The program has ended and its file is another one: names and lines are in the trace.
. ./lib.sh
cp "$triggers/calls" "$tmp/prog"
printf 'go\n' | "$dyntrace" record -c "$tmp/prog 1 5" -g -o "$trace" leaf:entry > /dev/null
cp /bin/true "$tmp/prog"
"$dyntrace" dump "$trace" | sed -n 2,4p | sed 's/^[ \t]*[0-9a-f]* //; s| (.*/prog)||; s|\.\./.*/||'
rm "$tmp/prog"
rm "$trace/dyntrace/frames"
"$dyntrace" dump "$trace" | sed -n 2,4p | sed 's/^[ \t]*[0-9a-f]* //; s| (.*/prog)||'
