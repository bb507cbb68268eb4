# Types in files of their own: beside the program, in .debug, by checksum; what a name leads to that is no file is not opened.
# @@timeout: 60
for tool in cc objcopy mkfifo; do
	command -v $tool >/dev/null || { echo "SKIP: no $tool"; exit 0; }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
cat > prog.c <<'END'
struct thing { int size, weight; };
struct thing first = { 3, 40 };
int main(void) { return 0; }
END
look() {
	timeout 10 $dyntrace -qn 'BEGIN { printf("'"$1"': %d\n", `first.weight); exit(0); }' -c ./prog 2>&1 |
		sed -n "s/.*no debug information.*/$1: none/p; /^$1: /p" | head -n 1
}
make() {
	cc -g -Wl,$2 -o whole prog.c || exit 1
	objcopy --only-keep-debug whole prog.debug
	objcopy --strip-debug --add-gnu-debuglink=prog.debug whole prog
	rm whole
}
for id in --build-id=sha1 --build-id=none; do
	make "$id" $id
	look beside
	mkdir .debug && mv prog.debug .debug
	look below
	rm -r .debug && mkfifo prog.debug
	look fifo
	rm prog.debug
	cp /bin/true prog.debug # neither its build-id nor its checksum
	look other
	rm prog.debug
done
cc -g -gsplit-dwarf -c prog.c && cc -o prog prog.o || exit 1
look split
[ "$(id -u)" = 0 ] && chown 1 prog # whose files root does not open by the names that they give
rm -f prog.dwo && mkfifo prog.dwo
[ "$(id -u)" = 0 ] && look strange || echo "strange: none"
exit 0
