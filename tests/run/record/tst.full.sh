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
"$dyntrace" dump "$trace" 2>&1 > "$tmp/dump" | sed 's/.* \([0-9]*\) events/N events/'
[ "$(wc -l < "$tmp/dump")" -gt 5000 ] && echo many
# What was lost was lost behind that: there is no hole in it.
awk '{ is_entry = /:entry/ } is_entry == was { bad++ } { was = is_entry }
	match($0, / a=[0-9]+/) { a = substr($0, RSTART + 3) + 0; bad += a != last && a != last + 1; last = a }
	END { print bad + 0, "holes" }' "$tmp/dump"
babel "$trace" | grep -qx "$(wc -l < "$tmp/dump")" && echo the same
[ -e "$trace/dyntrace/frames" ] && echo "lines noted"
round && echo goes on
exec 8>&- 9<&-
umount "$tmp/small"
