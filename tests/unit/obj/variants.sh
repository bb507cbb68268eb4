#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the programs that the tests look at: variants.sh CC CXX SOURCE_DIR OUT_DIR STAMP
set -e
cc=$1 cxx=$2 src=$3 out=$4 stamp=$5
mkdir -p "$out"
cd "$out"
flags="-O2 -g -fno-inline -fcf-protection=none"
$cc $flags -fPIE -pie -DWITH_IFUNC -o pie "$src/target.c"
$cc $flags -fno-pie -no-pie -DWITH_IFUNC -o nopie "$src/target.c"
$cc $flags -static -DWITH_IFUNC -o static "$src/target.c"
$cc $flags -static-pie -DWITH_IFUNC -o static-pie "$src/target.c"
$cc $flags -Wl,-z,lazy -fPIE -pie -Wl,-z,noseparate-code -o noseparate "$src/target.c"
strip -o stripped pie
strip -o stripped-static static

# By name and checksum: no build-id that could be found instead.
$cc $flags -fPIE -pie -Wl,--build-id=none -o linked.full "$src/target.c"
objcopy --only-keep-debug linked.full linked.debug
strip -o linked linked.full
objcopy --add-gnu-debuglink=linked.debug linked
rm linked.full
mkdir -p apart/.debug
cp linked apart/linked
cp linked.debug apart/.debug/linked.debug

# MiniDebugInfo, as its manual makes it.
nm -D pie --format=posix --defined-only | awk '{ print $1 }' | sort >dynsyms
nm pie --format=posix --defined-only | awk '{ if ($2 == "T" || $2 == "t" || $2 == "D") print $1 }' | sort >funcs
comm -13 dynsyms funcs >keep
objcopy --only-keep-debug pie mini.debug
objcopy -S --remove-section .gdb_index --remove-section .comment --keep-symbols=keep mini.debug mini
xz -f mini
strip -o minidebug pie
objcopy --add-section .gnu_debugdata=mini.xz minidebug
rm -f mini.debug mini.xz dynsyms funcs keep

$cxx $flags -shared -fPIC -o libthrows.so "$src/throws.cc"
if command -v musl-gcc >/dev/null; then
	musl-gcc -O2 -static -o musl-static "$src/target.c"
	musl-gcc -O2 -o musl "$src/target.c"
fi
touch "$stamp"
