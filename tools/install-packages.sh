#!/bin/sh
# Installs the Debian packages of the given list that are missing.
# usage: install-packages.sh LIST
set -eu
[ $# = 1 ] || { echo "usage: $0 LIST" >&2; exit 2; }
missing=""
for p in $(sed 's/#.*//' "$1"); do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) || state=none
	[ "$state" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || {
	echo "missing packages:$missing; install them by hand, this is no Debian" >&2
	exit 1
}
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# A service that a package brings must not start here.
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
