# Probes of a program whose file was replaced, which share self-> variables with the kernel's.
. ./need.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; kill -9 $target 2> /dev/null' EXIT
cp "$triggers/calls" "$tmp/calls"
mkfifo "$tmp/in" "$tmp/out"
"$tmp/calls" 1 10 < "$tmp/in" > "$tmp/out" &
target=$!
exec 8> "$tmp/in" 9< "$tmp/out"
read -r _ <&9
rm "$tmp/calls"
echo int > "$tmp/calls"
(for i in 1 2 3 4 5 6 7 8; do sleep 0.5; echo go; done >&8) &
$dyntrace -qn '
pid$target:calls:work:entry { self->n++; printf("seen\n"); exit(0); }
syscall::getpid:entry /self->n/ { trace(self->n); }
tick-5s { printf("nothing\n"); exit(1); }' -p $target
