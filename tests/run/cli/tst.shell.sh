# A command that is a shell's script: what it starts is another process, and that is said where nothing is found or fires.
unset _DTRACE_TESTING
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp "$(command -v sleep)" "$tmp/program"
printf '#!/bin/sh\n%s/program 2\n:\n' "$tmp" >"$tmp/starts"
printf '#!/bin/sh\nexec %s/program 2\n' "$tmp" >"$tmp/becomes"
printf '#!%s sh\n%s/program 2\n:\n' "$(command -v env)" "$tmp" >"$tmp/named"
chmod +x "$tmp"/*
said() { "$@" 2>&1 | grep "is another program, which" | sed "s|$tmp|DIR|g; s|/[a-z/]*/env|ENV|; s/process [0-9]*/process N/"; }
for one in starts becomes; do
	echo $one
	said $dyntrace -n 'pid$target::no_such_function:entry' -c "$tmp/$one"
	said $dyntrace -n 'pid$target::qsort:entry { @ = count(); }' -c "$tmp/$one"
	said $dyntrace -Zn 'BEGIN { printf("begun\n"); } pid$target::no_such_function:entry' -c "$tmp/$one"
	said $dyntrace -x followfork -x zdefs -n 'pid$target::qsort:entry { @ = count(); }' -c "$tmp/$one"
done
echo others
said $dyntrace -qZn 'pid$target::no_such_function:entry' -c "$tmp/starts"
said $dyntrace -Zn 'BEGIN' -c "$tmp/starts"
said $dyntrace -Zn 'pid$target::no_such_function:entry' -c "$tmp/program 0"
said $dyntrace -Zn 'pid$target::no_such_function:entry' -c "$tmp/named"
said $dyntrace record -o "$tmp/trace" -c "$tmp/starts" no_such_function
