# SPDX-License-Identifier: MIT
# Probes of the kernel: of the recorded processes only, with their numbers, names and stacks.
. ../kernel/need.sh
. ./lib.sh
(while :; do dd if=/dev/null of=/dev/null 2> /dev/null; done) &
noise=$!
"$dyntrace" record -c "dd if=lib.sh of=$tmp/copy bs=1M status=none" -g -o "$trace" 'syscall::write:entry' 'syscall::close:return' > /dev/null
kill $noise
"$dyntrace" dump --json "$trace" | python3 -c '
import json, sys
v = [json.loads(line) for line in sys.stdin]
assert v and len({e["pid"] for e in v}) == 1 and all(e["tid"] == e["pid"] and e["procname"] == "dd" for e in v), v
w = [e for e in v if e["function"] == "write"]
print(len(w), sorted(w[0]["args"]), any("libc" in f.get("module", "") for f in w[0]["stack"]))'
babel "$trace" > "$tmp/n"
[ "$(cat "$tmp/n")" = "$("$dyntrace" dump --json "$trace" | wc -l)" ] && echo "the same"
