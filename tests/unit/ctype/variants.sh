#!/bin/sh
# SPDX-License-Identifier: MIT
# The same program in many forms of debug information: variants.sh CC CXX SOURCE_DIR OUT_DIR STAMP
set -e
cc=$1 cxx=$2 src=$3 out=$4 stamp=$5
mkdir -p "$out"
cd "$out"
build() { # NAME COMPILER FLAGS...
	name=$1 with=$2
	shift 2
	"$with" -O1 "$@" -c -o "$name.1.o" "$src/target.c"
	"$with" -O1 "$@" -c -o "$name.2.o" "$src/other.c"
	"$with" "$@" -o "$name" "$name.1.o" "$name.2.o"
}
build v4 "$cc" -gdwarf-4
build v5 "$cc" -gdwarf-5
build v2 "$cc" -gdwarf-2 -gstrict-dwarf
build units "$cc" -gdwarf-4 -fdebug-types-section
build units5 "$cc" -gdwarf-5 -fdebug-types-section
build split4 "$cc" -gdwarf-4 -gsplit-dwarf
build split5 "$cc" -gdwarf-5 -gsplit-dwarf
build packed "$cc" -g -gz
build nopie "$cc" -g -no-pie -fno-pie
build lto "$cc" -g -flto
rm -f v*.o nopie*.o packed*.o lto*.o units*.o

# Apart from the program, found by its build-id's link in .debug beside it.
objcopy --only-keep-debug v5 apart.debug
cp v5 apart
objcopy --strip-debug --add-gnu-debuglink=apart.debug apart

if command -v clang >/dev/null; then
	build clang4 clang -gdwarf-4
	build clang5 clang -gdwarf-5
	rm -f clang*.o
fi
if command -v dwz >/dev/null; then
	cp v4 dwz1
	cp nopie dwz2
	cp v4 dwz3
	# With the full path of the common file: libdw looks for it there.
	dwz -m "$out/dwz.common" -M "$out/dwz.common" dwz1 dwz2 dwz3
fi
for v in 4 5; do
	"$cxx" -O1 -gdwarf-$v -o cxx$v "$src/classes.cc"
	if command -v clang++ >/dev/null; then
		clang++ -O1 -gdwarf-$v -o clangxx$v "$src/classes.cc" || rm -f clangxx$v
	fi
done
strip -o none v5
touch "$stamp"
