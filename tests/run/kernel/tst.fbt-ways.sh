# Functions of the kernel: a few by trampolines, many by one program, and else by kprobes: the same is seen.
# @@timeout: 60
. ./need.sh
unset _DTRACE_TESTING
why=$($dyntrace -ln fbt::vfs_read: 2>&1 >/dev/null | tail -1)
[ -z "$why" ] || { echo "SKIP: $why"; exit 0; }
work='dd if=need.sh of=/dev/null bs=1 count=50 status=none'
d='
fbt::ksys_read:entry /pid == $target/ { self->depth++; }
fbt::vfs_read:entry /self->depth && stringof(args[0]->f_path.dentry->d_name.name) == "need.sh"/
{
	self->at = args[3];
	@args["arguments", self->depth, arg2 == args[2], args[2] == 1, (uint64_t)args[1] == arg1, self->at != NULL] = count();
	@frames["stack", (uint64_t)caller - (uint64_t)&`ksys_read < 4096] = count();
}
fbt::vfs_read:return /self->at != NULL/ { @results["result", args[0], args[1], arg1 == args[1], *self->at] = count(); self->at = NULL; }
fbt::ksys_read:return /self->depth/ { self->depth--; @ends["left", self->depth] = count(); }
fbt::fput:return /pid == $target/ { @none["nothing is returned", arg0 == -1] = sum(0); }
END
{
	printa("%s %d %d %d %d %d %@d\n", @args); printa("%s %d %@d\n", @frames); printa("%s %d %@d\n", @none);
	printa("%s %d %d %d %d %@d\n", @results); printa("%s %d\n", @ends);
}'
# What the loader reads is no matter: the file's reads count.
seen() { sort | grep -v '^$'; }
few=$($dyntrace -qn "$d" -c "$work" | seen)
case "$few" in *"arguments 1 1 1 1 1"*"left 0"*"result -1 1 1 50 1"*) ;; *) echo "few: $few"; esac
# The same among so many that each is no program of its own.
many=$($dyntrace -qn "$d" -n 'fbt::vfs_*:entry,fbt::vfs_*:return /0/ { @["never"] = count(); }' -c "$work" | seen)
[ "$few" = "$many" ] && echo the same || { echo "few: $few"; echo "many: $many"; }
$dyntrace -ln 'fbt::vfs_*:entry,fbt::vfs_*:return' | awk 'END { print (NR > 65 ? "many" : "few") }'
# One that cannot be traced by whoever names it, among those of a pattern.
$dyntrace -qn 'BEGIN { exit(0); } fbt::vfs_r*:entry, fbt::ksys_r*:return { @ = count(); }' && echo armed
$dyntrace explain -n fbt::vfs_read:entry | sed 's/trampoline (fentry)\|kprobe/PLACE/; s/;.*//'
