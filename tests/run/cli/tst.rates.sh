# @@timeout: 60
# -x switchrate: records are read, and exit() seen, at that rate; without it at once.  Ctrl-C never waits.
took() {
	t0=$(date +%s%N)
	"$@"
	status=$?
	t=$((($(date +%s%N) - t0) / 1000000))
	if [ $t -lt 5000 ]; then echo "$status at once"; elif [ $t -lt 15000 ]; then echo "$status in time"; else echo too late; fi
}
took $dyntrace -qn 'BEGIN { exit(0); }'
took $dyntrace -x switchrate=6sec -qn 'BEGIN { printf("begin\n"); exit(3); }'
took timeout -s INT 2 $dyntrace -x switchrate=1hour -qn 'END { printf("end\n"); }'
# What a tick prints waits for its turn, and comes in order.
$dyntrace -x switchrate=700ms -qn 'tick-100ms /n < 4/ { printf("%d\n", n++); } tick-100ms /n == 4/ { exit(0); }'
# From here on, at run time.
took $dyntrace -qn 'BEGIN { setopt("switchrate", "6sec"); } tick-50ms { exit(0); }'
# Losses are told at their own rate, not when buffers are read.
took timeout -s INT 2 $dyntrace -x switchrate=1hour -x statusrate=100ms -x nspec=1 -qn 'BEGIN, BEGIN { speculation(); }'
