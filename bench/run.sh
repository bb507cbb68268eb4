#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the peers, measures, prints the tables and keeps them in results/.  usage: run.sh BUILD [bench.py's options]
set -eu
here=$(dirname "$0")
"$here/../tools/install-packages.sh" "$here/packages.txt"
build=${1:-build}
[ $# -gt 0 ] && shift
exec "$here/bench.py" "$build" "$@"
