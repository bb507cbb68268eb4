# SPDX-License-Identifier: MIT
# @@timeout: 60
# dt.sh from its manual's session: programs that run already, one that has not begun, values as they are asked for.
. ./lib.sh
cat > "$tmp/till.c" <<'C'
#include <stdio.h>
#define NOINLINE __attribute__((noinline, noclone))
struct item { int price; };
NOINLINE int sell(int count, const char *what) { __asm__ volatile("" : : "r"(what)); return count * 3; }
NOINLINE int refund(struct item *it) { __asm__ volatile("" : : "r"(it)); return it->price; }
int main(int argc, char **argv)
{
	struct item it = { 42 };
	char line[16];
	while (argc > 1 && fgets(line, sizeof(line), stdin)) {
		sell(4, "pear");
		refund(&it);
		puts(argv[1]);
		fflush(stdout);
	}
	return argc > 1 ? 0 : sell(4, "apple") - 12;
}
C
cc -g -O1 -o "$tmp/till" "$tmp/till.c" || { echo "SKIP: no compiler"; exit 0; }
export DYNTRACE=$dyntrace DT_PROBES=$tmp/probes tmp
dt=$PWD/../../../share/dt.sh
cd "$tmp"
dt=$dt bash -c '
set -euo pipefail
. "$dt"
run() { mkfifo "$1.in" "$1.out"; ./till "$1" < "$1.in" > "$1.out" & eval "$1=\$!"; }
run one
run two
exec 5> one.in 6< one.out 7> two.in 8< two.out
MY_CODE_FILE=./till
trace.available_extern_functions "$MY_CODE_FILE" | grep -x "sell\|refund\|main"
trace.set_dynamic_probes "$MY_CODE_FILE" "sell count=%di what=%si:string" "sell%return got=\$retval"
trace.set_dynamic_probes "$MY_CODE_FILE" "refund price=args[0]->price"
trace.list_probes | sed "s|in /.*/|in .../|"
trace.trace_pids $one,$two 60 probe_till:sell probe_till:sell__return probe_till:refund > said
head -1 said | grep -qx "Creating new trace file: .perf\.data\.[0-9]*\.[0-9]*.\."
sed -n 2p said | sed "s/$one,$two/PIDS/"
for i in 1 2; do echo >&5; read -r said <&6; done
echo >&7; read -r said <&8
exec 5>&- 7>&-
wait $one $two
trace.dump_trace "$(sed -n "s/.*file: .\(.*\).\./\1/p" said)" > dump 2> log
sed "s/pid [0-9]*/pid N/" log
trace.dump_trace /no/such/trace 2> /dev/null && echo bad
( kill -STOP $BASHPID; exec ./till ) &
late=$!
while [ "$(sed "s/.*) \(.\) .*/\1/" /proc/$late/stat)" != T ]; do sleep 0.02; done
trace.trace_pids $late 60 probe_till:sell 2>&1 > said | sed "s|PIDs $late|PIDs N|; s|/.*/till|.../till|"
kill -CONT $late
wait $late && echo "status 0"
trace.dump_trace "$(sed -n "s/.*file: .\(.*\).\./\1/p" said)" > dump2 2> log
trace.del_dyn_probes probe_till:sell probe_till:refund probe_till:sell__return
trace.list_probes
set +e
trace.trace_pids 2>&1; echo "status $?"
trace.trace_pids $$ 1 probe_till:sell 2>&1; echo "status $?"
trace.set_dynamic_probes "$MY_CODE_FILE" 2>&1; echo "status $?"
trace.available_extern_functions 2>&1; echo "status $?"
trace.dump_trace 2>&1; echo "status $?"
trace.del_dyn_probes 2>&1; echo "status $?"
'
for f in dump dump2; do
	echo "$f:"
	grep 'pid:' "$tmp/$f" | sed 's/.*pid:/pid:/' | sort | uniq -c | sed 's/^ *//'
	grep -A2 -m1 'sell:entry' "$tmp/$f" | sed -n '2,3s|^[ \t]*[0-9a-f]* \([^ ]*\) .*/\(till.c:[0-9]*\)$|\1 \2|p'
done
cd /
