# SPDX-License-Identifier: MIT
# The disk is full: an error, the program is let go, what is there is readable.
if [ -z "$inner" ]; then
	unshare -m true 2> /dev/null || { echo "SKIP: no mount namespaces"; exit 0; }
	inner=1 exec unshare -m sh "$0"
fi
. ./lib.sh
mkdir "$tmp/small"
mount -t tmpfs -o size=1m none "$tmp/small" 2> /dev/null || { echo "SKIP: cannot mount"; exit 0; }
trace=$tmp/small/t
start 1 40000
"$dyntrace" record -p $target -o "$trace" leaf 2>&1 | sed 's|^[^:]*/||; / drops on CPU /d' & # nobody reads any more: there may be
rec=$!
begun
round
wait $rec
"$dyntrace" dump "$trace" > "$tmp/dump"
[ "$(wc -l < "$tmp/dump")" -gt 5000 ] && echo many
babel "$trace" | grep -qx "$(wc -l < "$tmp/dump")" && echo the same
[ -e "$trace/dyntrace/frames" ] && echo "lines noted"
round && echo goes on
exec 8>&- 9<&-
umount "$tmp/small"
