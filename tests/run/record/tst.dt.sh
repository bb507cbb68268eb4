# SPDX-License-Identifier: MIT
# The functions of dt.sh, in a shell that forgives nothing.
. ./lib.sh
start 1 10
export DYNTRACE=$dyntrace DT_PROBES=$tmp/probes target triggers
cd "$tmp"
dt=$OLDPWD/../../../share/dt.sh bash -c '
set -euo pipefail
. "$dt"
trace.available_extern_functions "$triggers/calls" | grep -x "leaf\|work\|branchy"
trace.set_dynamic_probes "$triggers/calls" leaf work%return "branchy first=%di:s64"
trace.list_probes | sed "s|in /.*/|in .../|"
trace.trace_pids $target 1 probe_calls:leaf probe_calls:work__return probe_calls:branchy > said
sed "s/[0-9][0-9.]*/N/g" said
touch go
sleep 0.2
trace.dump_trace "$(sed -n "s/.*file: .\(.*\).\./\1/p" said)" > dump
trace.del_dyn_probes probe_calls:leaf probe_calls:branchy
trace.list_probes | sed "s|in /.*/|in .../|"
if trace.del_dyn_probes probe_calls:leaf; then echo bad; fi
if trace.set_dynamic_probes "$triggers/calls" nosuch 2>&1 | sed "s|/.*/|.../|"; then echo bad; fi
if trace.set_dynamic_probes /no/such/file leaf; then echo bad; fi
' &
while [ ! -e go ]; do sleep 0.05; done
round
wait $!
echo "status $?"
counts < dump
grep -m1 branchy dump | sed 's/.*branchy/branchy/'
grep -q 'run_round.*calls.c:[0-9]' dump && echo lines
cd /
