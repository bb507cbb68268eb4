# Each request is speculated by the thread that handles it; who hears that it failed commits it from another thread.
$dyntrace -q -x nspec=200 -n '
pid$target:a.out:begin:entry { spec[arg0] = speculation(); self->id = arg0; }
pid$target:a.out:begin:entry { speculate(spec[arg0]); printf("%d begins\n", (int)arg0); }
pid$target:a.out:step:entry { speculate(spec[arg0]); printf("%d step %d\n", (int)arg0, (int)arg1); }
pid$target:a.out:failed:entry { commit(spec[arg0]); n++; }
pid$target:a.out:finish:entry /arg1/ { discard(spec[arg0]); }
pid$target:a.out:finish:entry { spec[arg0] = 0; }
END { printf("%d failed\n", n); }' -c "$triggers/requests 8 20" >out.$$
grep -c begins out.$$
grep -c step out.$$
sed -n 's/ begins//p' out.$$ | awk '$1 % 5 { print "not a failed one:", $1 }'
# Records of one request stay together and in order.
awk '/begins/ { id = $1; want = 1 } /step/ { if ($1 != id || $3 != want++) print "out of order:", $0 }' out.$$
grep failed out.$$
rm out.$$
