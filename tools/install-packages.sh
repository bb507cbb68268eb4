#!/bin/sh
# Installs the Debian packages of the given list that are missing; of one section, if that is named.
# usage: install-packages.sh LIST [SECTION]
set -eu
[ $# = 1 ] || [ $# = 2 ] || { echo "usage: $0 LIST [SECTION]" >&2; exit 2; }
missing=""
for p in $(awk -v want="${2:-}" '/^#/ { here = want == "" || $2 == want } here { sub(/#.*/, ""); print }' "$1"); do
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
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# A service that a package brings must not start here.
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1 || {
	cat "$log" >&2
	exit 1
}
