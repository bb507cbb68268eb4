# SPDX-License-Identifier: MIT
# Programs that others wrote.
. ./lib.sh
cat > "$tmp/p.py" <<'P'
import os, sys
sys.stdin.readline()
for i in range(5):
    os.getenv('HOME')
    os.stat('/tmp')
    open('/dev/null').close()
P
python=$(readlink -f "$(python3 -c 'import sys; print(sys.executable)')")
echo | "$dyntrace" record -c "$python $tmp/p.py" -g -o "$trace" 'libc.so.6:open64:entry path=copyinstr(arg0)' > /dev/null
"$dyntrace" dump "$trace" > "$tmp/dump"
grep -c 'path="/dev/null"' "$tmp/dump"
"$dyntrace" dump "$trace" | awk '/\/dev\/null/ { on = 1; next } /^$/ { on = 0 } on' | grep -q '_Py\|Py[A-Z]' && echo python frames
babel "$trace" | grep -qx "$(counts < "$tmp/dump" | awk '{ n += $1 } END { print n }')" && echo the same
