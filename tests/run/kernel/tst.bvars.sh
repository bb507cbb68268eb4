# What variables say of a process and its threads is what the process says of itself.
. ./need.sh
unset _DTRACE_TESTING
d='
syscall::alarm:entry /pid == $target && arg0/ { self->want = arg0; }
syscall::getsid:entry /pid == $target/
{
	printf("pid %d tid %d ppid %d uid %d gid %d\n", pid, tid, ppid, uid, gid);
	printf("execname %s args %s\n", execname, curpsinfo->pr_psargs);
	printf("cwd %s root %s\n", cwd, root);
	printf("fd %s at %d flags %d\n", fds[9].fi_pathname, fds[9].fi_offset, fds[9].fi_oflags & O_ACCMODE);
	printf("nice %d cgroup %s\n", curlwpsinfo->pr_nice, self->want == 0 ? "not known" : cgroup == self->want ? "as it says" : "another");
	@same["the same said twice", cpu == curcpu->cpu_id, curthread->pid == tid, curthread->tgid == pid, curpsinfo->pr_pid == pid,
	      curpsinfo->pr_uid == uid, curlwpsinfo->pr_lwpid == tid, stringof(curthread->comm) == execname, probeid == id] = count();
	@known["known", stackdepth > 1, ustackdepth > 1, caller != 0, ucaller != 0, vtimestamp > 0, epid > 0, ipl] = count();
}'
both=$($dyntrace -qn "$d" -c 'python3 bvars.py')
# Each line of the process and each of the script, of two threads.
echo "$both" | grep -E '^(pid|execname|cwd|fd|nice) ' | sort | uniq -c | awk '{ print $1, $2 }' | sort
echo "$both" | grep -E '^  ' | tr -s ' '
# A root that is another one: as the process sees it.
case $(id -u) in 0) $dyntrace -qn 'syscall::getsid:entry /pid == $target/ { printf("root %s cwd %s\n", root, cwd); }' -c "python3 -c '
import ctypes, os
os.chroot(\"/usr\"); os.chdir(\"/lib\"); ctypes.CDLL(None).getsid(0)'";; esac
