# SPDX-License-Identifier: MIT
# Fields that have one name, or such as would be special: each keeps its value, and babeltrace2 reads them.
. ./lib.sh
printf 'go\n' | "$dyntrace" record -c "$triggers/calls 1 1" -g -o "$trace" 'leaf:entry x=arg1 x=arg0 _under=arg1 stack=arg0 _stack_length=7' > /dev/null
"$dyntrace" dump "$trace" | grep -m1 entry | sed 's/.*entry //'
"$dyntrace" dump --json "$trace" | python3 -c 'import json, sys; print(json.loads(sys.stdin.readline())["args"])'
babel "$trace"
