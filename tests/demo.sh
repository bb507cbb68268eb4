#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The main job in half a minute: a histogram and the hottest stacks out of a python3 that already runs.
set -euo pipefail
build=${1:-build}
dyntrace=$build/dyntrace

/usr/bin/python3 -c '
import json
while True:
    rows = [{"id": i, "name": "row %d" % i, "tags": ["x"] * (i % 50)} for i in range(500)]
    json.loads(json.dumps(rows))
' &
target=$!
trap 'kill $target 2>/dev/null || true' EXIT
sleep 1

echo "A busy python3 (Debian's own build) runs as process $target. It is asked, while it works:"
echo
script='
pid$target::malloc:entry { @bytes["bytes asked of malloc"] = quantize(arg0); @stacks[ustack(8)] = count(); }
tick-3s { exit(0); }
END { printa(@bytes); trunc(@stacks, 3); printf("\nthe three hottest stacks:\n"); printa(@stacks); }'
printf '    dyntrace -q -n '"'%s'"' -p %d\n\n' "$script" "$target"
"$dyntrace" -q -n "$script" -p "$target"

sleep 0.5
if ! kill -0 $target 2>/dev/null; then
	echo "the process did not live on" >&2
	exit 1
fi
state=$(ps -o stat= -p $target)
ours=$(grep -c dyntrace "/proc/$target/maps" || true)
echo
echo "dyntrace has gone; process $target lives on (state $state), with $ours mappings of ours left in it."
