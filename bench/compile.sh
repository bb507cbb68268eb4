#!/bin/sh
# SPDX-License-Identifier: MIT
# What compiling costs.  usage: compile.sh BUILD [--check]
set -eu
exec "$(dirname "$0")/compile.py" "${1:-build}" ${2:+"$2"}
