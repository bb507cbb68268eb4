# SPDX-License-Identifier: MIT
# What other programs read.
. ./lib.sh
printf 'go\n' | "$dyntrace" record -c "$triggers/calls 2 10" -g -o "$trace" leaf branchy > /dev/null
"$dyntrace" dump --folded "$trace" | sed 's/^\(calls;\).*\(run_round;\)/\1...;\2/'
"$dyntrace" dump --json "$trace" | python3 -c '
import json, sys
n = 0
for line in sys.stdin:
    e = json.loads(line)
    n += 1
    assert e["stack"][0]["function"] == e["function"] and e["provider"] == "pid", e
    assert e["stack"][0]["file"].endswith("calls.c") and e["stack"][0]["line"] > 0, e
    assert set(e["args"]) == ({"ret"} if e["name"] == "return" else {"a", "b"} if e["function"] == "leaf" else {"a"}), e
print(n, "lines")'
"$dyntrace" dump --chrome "$trace" | python3 -c '
import collections, json, sys
t = json.load(sys.stdin)
spans = [e for e in t["traceEvents"] if e["ph"] == "X"]
for e in t["traceEvents"]:
    assert isinstance(e["name"], str) and isinstance(e["pid"], int) and isinstance(e["tid"], int), e
    assert e["ph"] in "XiM" and (e["ph"] == "M" or e["ts"] > 0), e
print(collections.Counter(e["ph"] for e in t["traceEvents"]).most_common())
leaves = [e for e in spans if e["name"] == "leaf"]
inside = [e for e in leaves if any(b["name"] == "branchy" and b["tid"] == e["tid"] and b["ts"] <= e["ts"]
          and e["ts"] + e["dur"] <= b["ts"] + b["dur"] for b in spans)]
print(len(leaves), len(inside), all(e["args"]["return"]["ret"] == 3 * e["args"]["entry"]["a"] + e["args"]["entry"]["b"] for e in leaves))'
