# SPDX-License-Identifier: MIT
# The program that does it, and what is refused.
. ./lib.sh
"$dyntrace" record -c "$triggers/calls 1 1" --show-d -d 2 -g leaf 'floating b' 'calls:work+0x5 x=%si' < /dev/null 2>&1 | sed 's/pid[0-9]*/pidN/'
"$dyntrace" record leaf; echo "status $?"
"$dyntrace" record -p 1,x leaf; echo "status $?"
"$dyntrace" record -c true -o "$trace" nosuchfunction 2>&1 | sed 's/pid[0-9]*/pidN/'; echo "status $?"
[ -e "$trace" ] || echo "nothing is left"
"$dyntrace" record -c "$triggers/calls 1 1" -o "$trace" 'leaf nosuch'; echo "status $?"
"$dyntrace" dump "$tmp" 2>&1 | sed "s|$tmp|DIR|g"
