#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the peers and prints the tables.  usage: run.sh BUILD [bench.py's options]
# Without options all sections are measured, and results/table.md is made of what they left in results/.
set -eu
here=$(dirname "$0")
"$here/../tools/install-packages.sh" "$here/packages.txt"
build=${1:-build}
[ $# -gt 0 ] && shift
"$here/bench.py" "$build" "$@"
[ $# = 0 ] || exit 0
# Sections of their own: each prints its table and keeps it in results/.
for section in arm kernel; do
	[ ! -e "$here/$section.py" ] || "$here/$section.py" "$build"
done
for part in hit scale arm kernel; do
	[ ! -e "$here/results/$part.md" ] || { cat "$here/results/$part.md"; echo; }
done > "$here/results/table.md"
