# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# dt.sh: dynamic tracing from the shell, to be sourced in bash (see dt.sh(7)):
#
#   trace.available_extern_functions FILE
#   trace.set_dynamic_probes FILE TRACEPOINT...      prints their ids
#   trace.list_probes
#   trace.trace_pids PID[,PID...] SECONDS ID...      prints the trace's name
#   trace.dump_trace TRACE
#   trace.del_dyn_probes ID...
#
# Trace-points are remembered in a file, $DT_PROBES or by default
# ~/.local/state/dyntrace/probes: a line "ID<tab>FILE<tab>TRACEPOINT" for each.
# Nothing is changed in any process until trace.trace_pids.  $DYNTRACE names the
# program dyntrace where it is not in the path.

_dt_error()
{
	echo "ERROR: $*" >&2
	return 1
}

_dt_dyntrace()
{
	"${DYNTRACE:-dyntrace}" "$@"
}

_dt_registry()
{
	echo "${DT_PROBES:-${XDG_STATE_HOME:-${HOME:-/tmp}/.local/state}/dyntrace/probes}"
}

# The line of an id, or nothing and a status of 1.
_dt_lookup()
{
	local file id path spec
	file=$(_dt_registry)
	[ -r "$file" ] || return 1
	while IFS=$'\t' read -r id path spec; do
		if [ "$id" = "$1" ]; then
			printf '%s\t%s\t%s\n' "$id" "$path" "$spec"
			return 0
		fi
	done < "$file"
	return 1
}

# probe_FILE:FUNCTION, as perf-probe makes them.
_dt_id()
{
	local base=${1##*/} place=${2%%[[:space:]]*}
	base=${base%%[-._]*}
	case $place in
	*%return) place=${place%\%return}__return ;;
	esac
	echo "probe_${base:-file}:${place//[!A-Za-z0-9_]/_}"
}

_dt_add()
{
	local path=$1 spec=$2 func id file line names
	func=${spec%%[[:space:]]*}
	func=${func%\%return}
	func=${func%+*}
	names=$(_dt_dyntrace list-functions "$path" "$func") || return 1
	[ -n "$names" ] || _dt_error "'$path' has no function '$func'." || return 1
	id=$(_dt_id "$path" "$spec")
	if line=$(_dt_lookup "$id"); then
		if [ "$line" != "$id"$'\t'"$path"$'\t'"$spec" ]; then
			_dt_error "'$id' is set already, in another way; trace.del_dyn_probes removes it." || return 1
		fi
	else
		file=$(_dt_registry)
		mkdir -p -- "${file%/*}" || return 1
		printf '%s\t%s\t%s\n' "$id" "$path" "$spec" >> "$file" || return 1
	fi
	echo "$id"
}

# Prints what `dyntrace record` calls it.
_dt_probe()
{
	local line path spec place rest=
	line=$(_dt_lookup "$1") || _dt_error "there is no trace-point '$1'; trace.set_dynamic_probes sets one." || return 1
	IFS=$'\t' read -r _ path spec <<< "$line"
	place=${spec%%[[:space:]]*}
	[ "$place" = "$spec" ] || rest=" ${spec#"$place"}"
	case $place in
	*%return) place=${place%\%return}:return ;;
	*+*) place=${place%+*}:${place##*+} ;;
	*) place=$place:entry ;;
	esac
	echo "${path##*/}:$place$rest"
}

# Whether one of the processes has the file mapped; yes, where that cannot be seen.
_dt_is_used()
{
	local pid
	for pid in ${1//,/ }; do
		[ -r "/proc/$pid/maps" ] || return 0
		! grep -qF " $2" "/proc/$pid/maps" 2> /dev/null || return 0
	done
	return 1
}

trace.available_extern_functions()
{
	if [ $# -lt 1 ]; then
		_dt_error "a file with code is necessary as the first argument." || return 1
	fi
	_dt_dyntrace list-functions "$1"
}

trace.set_dynamic_probes()
{
	local path spec
	if [ $# -lt 2 ]; then
		_dt_error "a file with code and at least one trace-point are necessary." || return 1
	fi
	if [ ! -f "$1" ]; then
		_dt_error "'$1' does not seem to exist." || return 1
	fi
	path=$(readlink -f -- "$1") || return 1
	shift
	for spec in "$@"; do
		_dt_add "$path" "$spec" || return 1
	done
}

trace.list_probes()
{
	local file id path spec
	file=$(_dt_registry)
	[ -r "$file" ] || return 0
	while IFS=$'\t' read -r id path spec; do
		printf '%-30s (on %s in %s)\n' "$id" "$spec" "$path"
	done < "$file"
}

trace.trace_pids()
{
	local pids seconds id probe line file name log recorder waited=0
	local -a probes=() later=()
	if [ $# -lt 3 ]; then
		_dt_error "PIDs (with commas between them), a number of seconds and at least one trace-point" \
			"are necessary." || return 1
	fi
	pids=$1
	seconds=$2
	shift 2
	for id in "$@"; do
		probe=$(_dt_probe "$id") || return 1
		probes+=("$probe")
		line=$(_dt_lookup "$id") || return 1
		IFS=$'\t' read -r _ file _ <<< "$line"
		if ! _dt_is_used "$pids" "$file"; then
			echo "WARNING: '$file' is not used by PIDs $pids yet: it is waited for." >&2
			later=(-x zdefs -x followfork)
		fi
	done
	name=perf.data.$(date +%s).$RANDOM
	while [ -e "$name" ]; do
		name=${name%.*}.$RANDOM
	done
	log=$(mktemp "$name.XXXXXX") || return 1
	echo "Creating new trace file: '$name'."
	# Nothing of the caller's stays open with it: somebody may wait for the end of a pipe (bats does).
	"${DYNTRACE:-dyntrace}" record -p "$pids" -d "$seconds" -g -o "$name" ${later[@]+"${later[@]}"} \
		"${probes[@]}" < /dev/null > /dev/null 2> "$log" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
	recorder=$!
	# What is done from now on is to be in the trace: wait until all is in place.
	while [ ! -e "$name/dyntrace/ready" ]; do
		if ! kill -0 "$recorder" 2> /dev/null; then
			[ ! -e "$name/dyntrace/ready" ] || break
			cat "$log" >&2
			rm -f -- "$log"
			_dt_error "nothing is traced." || return 1
		fi
		if [ $((waited += 1)) -gt 1200 ]; then
			kill "$recorder" || true
			cat "$log" >&2
			rm -f -- "$log"
			_dt_error "the trace does not start." || return 1
		fi
		sleep 0.05
	done
	# What goes wrong later (a full disk) trace.dump_trace says.
	mv -- "$log" "$name/dyntrace/log"
	echo "Do your normal operations on PIDs $pids in order to trace them."
}

# Until the end of the recording where it still goes on.
trace.dump_trace()
{
	if [ $# -lt 1 ]; then
		_dt_error "a trace is necessary as the first argument." || return 1
	fi
	_dt_dyntrace dump --follow "$1" || return 1
	if [ -r "$1/dyntrace/log" ]; then
		sed '/: [0-9]* events, [0-9]* lost$/d' "$1/dyntrace/log" >&2
	fi
}

trace.del_dyn_probes()
{
	local file id line rest
	if [ $# -lt 1 ]; then
		_dt_error "at least one id of a trace-point is necessary; trace.list_probes prints them." || return 1
	fi
	file=$(_dt_registry)
	for id in "$@"; do
		_dt_lookup "$id" > /dev/null || _dt_error "there is no trace-point '$id'." || return 1
		rest=$(mktemp "$file.XXXXXX") || return 1
		while IFS= read -r line; do
			[ "${line%%$'\t'*}" = "$id" ] || printf '%s\n' "$line"
		done < "$file" > "$rest"
		mv -- "$rest" "$file" || return 1
		echo "Removed event: $id"
	done
}
