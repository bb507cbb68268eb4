# Files by their names from the root, also through mounts; directories of the process; where the tool runs there are none.
. ./need.sh
here=$(pwd -P)
"$dyntrace" -qn '
syscall::pread64:entry /pid == $target && arg2 == 5/
{
	printf("%s %s %s\n", fds[arg0].fi_pathname, fds[arg0].fi_dirname, fds[arg0].fi_name);
	printf("%s\n", fds[arg0].fi_fs == "proc" ? fds[arg0].fi_mount : "");
	printf("%s %s\n", cwd, root);
	printf("%s\n", fds[arg0].fi_oflags & O_CREAT ? "created" : "not created");
}' -c 'python3 -c "
import os
for path in \"need.sh\", \"/proc/self/status\":
    os.pread(os.open(path, os.O_RDONLY), 5, 0)
r = os.memfd_create(\"in memory\")
os.pread(r, 5, 0)"' >paths.tmp
sed -e "s|$here|HERE|g" -e 's|/proc/[0-9][0-9]*|/proc/N|g' paths.tmp
rm -f paths.tmp
"$dyntrace" -qn 'syscall::nosys:entry {} BEGIN { trace(cwd); exit(0); }' 2>/dev/null || "$dyntrace" -qn 'syscall::getpid:entry {} BEGIN { trace(cwd); exit(0); }'
