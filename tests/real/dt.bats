# SPDX-License-Identifier: MIT
# dt.sh under bats, each function of it.

setup() {
	export DYNTRACE="$DYNTRACE_BUILD/dyntrace"
	cd "$BATS_TEST_TMPDIR"
	export DT_PROBES="$PWD/probes"
	. "$BATS_TEST_DIRNAME/../../share/dt.sh"
	calls="$DYNTRACE_BUILD/tests/trigger/calls"
	cp "$calls" ./traced
}

teardown() {
	[ -z "${target-}" ] || kill -9 "$target" || true
}

@test "functions of a file" {
	run trace.available_extern_functions ./traced
	[ "$status" -eq 0 ]
	[[ "$output" == *leaf* && "$output" == *branchy* ]]
	run trace.available_extern_functions /no/such/file
	[ "$status" -eq 1 ]
}

@test "trace-points are set, listed and removed" {
	run trace.set_dynamic_probes ./traced leaf work%return branchy+4
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = probe_traced:leaf ]
	[ "${lines[1]}" = probe_traced:work__return ]
	run trace.list_probes
	[ "${#lines[@]}" -eq 3 ]
	run trace.del_dyn_probes probe_traced:leaf probe_traced:work__return
	[ "$status" -eq 0 ]
	run trace.list_probes
	[ "${#lines[@]}" -eq 1 ]
	run trace.del_dyn_probes probe_traced:leaf
	[ "$status" -eq 1 ]
}

@test "a process is traced while this goes on" {
	mkfifo in out
	./traced 1 10 < in > out 3>&- &
	target=$!
	exec 8> in 9< out
	read -r _ <&9
	trace.set_dynamic_probes ./traced 'leaf first=%di' > /dev/null
	run trace.trace_pids "$target" 60 probe_traced:leaf
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == "Creating new trace file: 'perf.data."*"'." ]]
	[ "${lines[1]}" = "Do your normal operations on PIDs $target in order to trace them." ]
	name=${lines[0]#*\'}
	name=${name%\'.}
	echo go >&8
	read -r _ <&9
	kill "$target"
	target=
	run trace.dump_trace "$name"
	[ "$status" -eq 0 ]
	[ "$(grep -c 'leaf:entry first=0x' <<< "$output")" -eq 17 ]
}
