#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the peers and prints the tables.  usage: run.sh BUILD [bench.py's options]
set -eu
here=$(dirname "$0")
"$here/../tools/install-packages.sh" "$here/packages.txt"
build=${1:-build}
[ $# -gt 0 ] && shift
"$here/bench.py" "$build" "$@"
"$here/kernel.py" "$build"
"$here/arm.py" "$build"
