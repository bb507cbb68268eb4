/* SPDX-License-Identifier: MIT */
#include "../tap.h"
#include "../../trigger/target.h"
#include "inject/inject.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

static int64_t remote(struct inject *in, long nr, uint64_t a)
{
	uint64_t args[6] = { a };
	int64_t v = -1;
	struct err e;
	CHECK_MSG(!inject_syscall(in, nr, args, &v, &e), "%s", e.msg);
	return v;
}

static struct inject *attach(pid_t pid)
{
	struct inject *in = NULL;
	struct err e;
	CHECK_MSG(!inject_attach(pid, &in, &e), "%s", e.msg);
	return in;
}

static bool stop(struct inject *in)
{
	struct err e;
	return CHECK_MSG(!inject_stop(in, &e), "%s", e.msg);
}

static bool resume(struct inject *in)
{
	struct err e;
	return CHECK_MSG(!inject_resume(in, &e), "%s", e.msg);
}

/* Stops, makes system calls, lets go, many times; the target must not notice. */
static void cycles(char *const argv[], int cnt)
{
	struct target t;
	if (!CHECK_MSG(target_start(&t, argv), "%s does not start", argv[0]))
		return;
	for (int i = 0; i < cnt; i++) {
		struct inject *in = attach(t.pid);
		if (!in || !stop(in))
			break;
		CHECK(inject_thread_cnt(in) >= 1);
		if (i % 2)
			CHECK_EQ(remote(in, SYS_getpid, 0), t.pid);
		resume(in);
		inject_detach(in);
		usleep(200);
	}
	CHECK_EQ(target_end(&t), 0);
}

static void invisible_to_blocked_threads(void)
{
	cycles((char *[]){ (char *)TRIGGER_DIR "/blockers", "2", NULL }, 100);
}

static void invisible_to_static_glibc(void)
{
	cycles((char *[]){ (char *)TRIGGER_DIR "/blockers-static", NULL }, 30);
}

static void invisible_to_static_musl(void)
{
	if (access(TRIGGER_DIR "/blockers-musl", X_OK))
		SKIP("musl-gcc is missing: install musl-tools");
	cycles((char *[]){ (char *)TRIGGER_DIR "/blockers-musl", NULL }, 30);
}

static void many_threads(void)
{
	cycles((char *[]){ (char *)TRIGGER_DIR "/blockers", "16", NULL }, 5);
}

static bool start_sleeper(struct target *t)
{
	return CHECK(target_start(t, (char *[]){ (char *)TRIGGER_DIR "/signals", NULL }));
}

static void signals_arrive(void)
{
	struct target t;
	if (!start_sleeper(&t))
		return;
	for (int i = 0; i < 50; i++) {
		struct inject *in = attach(t.pid);
		if (i % 3 == 0)
			kill(t.pid, SIGUSR1);
		if (!in || !stop(in))
			break;
		if (i % 3 == 1)
			kill(t.pid, SIGUSR1);
		remote(in, SYS_getpid, 0);
		if (i % 3 == 2)
			kill(t.pid, SIGUSR1);
		resume(in);
		inject_detach(in);
		usleep(2000);
	}
	CHECK_EQ(target_end(&t), 50);
}

static bool wait_state(struct target *t, char want)
{
	for (int i = 0; i < 500 && target_state(t) != want; i++)
		usleep(1000);
	return target_state(t) == want;
}

static void job_control_is_kept(void)
{
	struct target t;
	if (!start_sleeper(&t))
		return;
	kill(t.pid, SIGSTOP);
	CHECK(wait_state(&t, 'T'));
	struct inject *in = attach(t.pid);
	if (in && stop(in)) {
		CHECK_EQ(remote(in, SYS_getpid, 0), t.pid);
		resume(in);
		CHECK(wait_state(&t, 'T'));
	}
	kill(t.pid, SIGCONT);
	CHECK(wait_state(&t, 'S'));
	if (in && stop(in)) {
		kill(t.pid, SIGSTOP);
		remote(in, SYS_getpid, 0);
		resume(in);
		CHECK(wait_state(&t, 'T'));
	}
	if (in && stop(in)) {
		remote(in, SYS_getpid, 0);
		kill(t.pid, SIGCONT);
		resume(in);
		CHECK(wait_state(&t, 'S'));
	}
	inject_detach(in);
	CHECK_EQ(target_end(&t), 0);
}

static int open_fds(pid_t pid)
{
	char cmd[64];
	snprintf(cmd, sizeof(cmd), "ls /proc/%d/fd | wc -l", (int)pid);
	FILE *f = popen(cmd, "r");
	int n = -1;
	if (!f || fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f)
		pclose(f);
	return n;
}

static void maps_a_descriptor(void)
{
	struct target t;
	struct err e;
	int remote_fd = -1;
	uint64_t at = 0, again;
	char buf[6] = "";
	if (!start_sleeper(&t))
		return;
	int before = open_fds(t.pid), fd = memfd_create("inject-test", MFD_CLOEXEC);
	CHECK_EQ(write(fd, "hello", 6), 6);
	struct inject *in = attach(t.pid);
	if (in && stop(in)) {
		CHECK_MSG(!inject_pass_fd(in, fd, &remote_fd, &e), "%s", e.msg);
		CHECK_MSG(!inject_mmap(in, 0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, remote_fd, 0, &at, &e), "%s", e.msg);
		CHECK_EQ(inject_mmap(in, at, 4096, PROT_READ, MAP_SHARED, remote_fd, 0, &again, &e), -EEXIST);
		CHECK(!inject_close_fd(in, remote_fd, NULL));
		CHECK(!inject_read(in, at, buf, sizeof(buf), NULL));
		CHECK_STR(buf, "hello");
		CHECK(!inject_write(in, at, "HELLO", 6, &e) || 1);
		CHECK(!inject_sync_core(in, NULL));
		CHECK(!inject_munmap(in, at, 4096, NULL));
		CHECK(inject_read(in, at, buf, 1, NULL) < 0);
		resume(in);
	}
	inject_detach(in);
	CHECK_EQ(open_fds(t.pid), before);
	close(fd);
	CHECK_EQ(target_end(&t), 0);
}

/* The first mapping of code of its executable: how many pages; 0: none. */
static uint64_t code_of(pid_t pid, uint64_t *ret_start)
{
	char path[64], line[512];
	unsigned long start = 0, end = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " r-xp ") && strstr(line, "/signals") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			break;
	if (f)
		fclose(f);
	*ret_start = start;
	return (end - start) / 4096;
}

#define PAGE_OF_FILE (1ull << 61) /* Documentation/admin-guide/mm/pagemap.rst */

static uint32_t pages_of_file(pid_t pid, uint64_t start, uint64_t cnt)
{
	char path[64];
	uint64_t entry;
	uint32_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (uint64_t i = 0; i < cnt; i++)
		n += pread(fd, &entry, sizeof(entry), (off_t)((start / 4096 + i) * 8)) == sizeof(entry) && entry & PAGE_OF_FILE;
	close(fd);
	return n;
}

/* What ends in a hole cannot be read; what another has mapped shared and read-only can be, but not written. */
static void cannot_own(struct inject *in)
{
	static uint8_t buf[8 * 4096];
	int remote_fd, fd = memfd_create("inject-test", MFD_CLOEXEC);
	uint64_t at;
	CHECK(!ftruncate(fd, sizeof(buf)));
	if (CHECK(!inject_pass_fd(in, fd, &remote_fd, NULL)) &&
	    CHECK(!inject_mmap(in, 0, sizeof(buf), PROT_READ, MAP_SHARED, remote_fd, 0, &at, NULL))) {
		CHECK_EQ(inject_own_pages(in, at, buf, 4096), -EIO);
		CHECK_EQ(inject_own_pages(in, at, buf, sizeof(buf)), -EIO);
		CHECK(!inject_munmap(in, at + 4096, sizeof(buf) - 4096, NULL));
		CHECK_EQ(inject_own_pages(in, at, buf, 2 * 4096), -EFAULT);
		CHECK_EQ(inject_own_pages(in, at, buf, sizeof(buf)), -EFAULT);
		CHECK(!inject_munmap(in, at, 4096, NULL));
	}
	CHECK(!inject_close_fd(in, remote_fd, NULL));
	close(fd);
}

static void owns_pages_as_they_are(void)
{
	struct target t;
	uint64_t start, cnt;
	if (!start_sleeper(&t))
		return;
	struct inject *in = attach(t.pid);
	cnt = code_of(t.pid, &start);
	uint8_t *before = malloc(cnt * 4096), *buf = malloc(cnt * 4096);
	if (CHECK(cnt > 0) && in && stop(in)) {
		CHECK(pages_of_file(t.pid, start, cnt) > 0);
		CHECK(!inject_read(in, start, before, cnt * 4096, NULL));
		CHECK_EQ(inject_own_pages(in, start, buf, cnt * 4096), 0);
		CHECK_EQ(pages_of_file(t.pid, start, cnt), 0);
		memset(buf, 0, cnt * 4096);
		CHECK(!inject_read(in, start, buf, cnt * 4096, NULL) && !memcmp(before, buf, cnt * 4096));
		CHECK_EQ(inject_own_pages(in, 4096, buf, 4096), -EFAULT);
		cannot_own(in);
		resume(in);
	}
	kill(t.pid, SIGUSR1);
	inject_detach(in);
	free(before);
	free(buf);
	CHECK_EQ(target_end(&t), 1);
}

static void spawns_before_the_first_instruction(void)
{
	struct inject *in = NULL;
	struct err e;
	int status = -1;
	char *argv[] = { "sh", "-c", "exit 7", NULL };
	CHECK_MSG(!inject_spawn(argv, &in, &e), "%s", e.msg);
	if (!in)
		return;
	CHECK_EQ(inject_thread_cnt(in), 1);
	CHECK_EQ(remote(in, SYS_getpid, 0), inject_pid(in));
	CHECK_EQ(inject_poll(in, &status), INJECT_STOPPED);
	resume(in);
	for (int i = 0; i < 2000 && inject_poll(in, &status) != INJECT_EXITED; i++)
		usleep(1000);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	CHECK_EQ(inject_stop(in, &e), -ESRCH);
	inject_detach(in);
}

#define SYNC_CORE (1 << 5) /* of membarrier(2) */

/* Nothing of that is to be seen in the program, nor did it have to be announced to the kernel. */
static void serialises_who_stands(void)
{
	struct target t;
	char *argv[] = { (char *)TRIGGER_DIR "/blockers", "2", NULL };
	struct user_regs_struct before, after;
	if (!CHECK_MSG(target_start(&t, argv), "%s does not start", argv[0]))
		return;
	for (int i = 0; i < 60; i++) {
		struct inject *in = attach(t.pid);
		if (!in || !stop(in))
			break;
		CHECK(!inject_get_regs(in, 0, &before, NULL));
		if (i % 2)
			CHECK_EQ(remote(in, SYS_getpid, 0), t.pid);
		CHECK(!inject_sync_core(in, NULL));
		CHECK(!inject_get_regs(in, 0, &after, NULL));
		CHECK_EQ(after.rip, before.rip);
		CHECK_EQ(after.eflags & ~0x10000ull, before.eflags & ~0x10000ull);
		if (i == 59 && (after.eflags & 0x10000)) /* as it is done everywhere but with FRED */
			CHECK_EQ(remote(in, SYS_membarrier, SYNC_CORE), -EPERM);
		resume(in);
		inject_detach(in);
		usleep(200);
	}
	CHECK_EQ(target_end(&t), 0);
}

static uint64_t auxv_of(pid_t pid, uint64_t key)
{
	uint64_t v[2] = { 0 };
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (read(fd, v, sizeof(v)) == (ssize_t)sizeof(v) && v[0] != key)
		v[1] = 0;
	close(fd);
	return v[1];
}

static void on_alarm(int sig) { (void)sig; }

/* To where it comes, and to where it never does: nothing stays of the breakpoint, and it runs to its end. */
static void runs_to_its_entry(bool comes)
{
	const struct itimerval in_a_moment = { .it_value.tv_usec = 200000 };
	struct inject *in = NULL;
	struct user_regs_struct regs;
	struct err e = { 0 };
	int status = -1;
	uint8_t was = 0, now = 0xcc;
	char *argv[] = { "sh", "-c", comes ? "exit 7" : "sleep 2; exit 7", NULL };
	if (!CHECK_MSG(!inject_spawn(argv, &in, &e), "%s", e.msg))
		return;
	uint64_t addr = auxv_of(inject_pid(in), comes ? AT_ENTRY : AT_BASE);
	CHECK(!inject_read(in, addr, &was, 1, NULL));
	if (!comes) {
		struct sigaction sa = { .sa_handler = on_alarm };
		sigaction(SIGALRM, &sa, NULL);
		setitimer(ITIMER_REAL, &in_a_moment, NULL);
	}
	CHECK_EQ(inject_run_to(in, addr, &e), comes ? 0 : -EINTR);
	CHECK(!inject_read(in, addr, &now, 1, NULL));
	CHECK_EQ(now, was);
	CHECK_EQ(inject_poll(in, &status), INJECT_STOPPED);
	CHECK(!inject_get_regs(in, 0, &regs, &e) && (regs.rip == addr) == comes);
	CHECK_EQ(remote(in, SYS_getpid, 0), inject_pid(in));
	resume(in);
	for (int i = 0; i < 9000 && inject_poll(in, &status) != INJECT_EXITED; i++)
		usleep(1000);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	inject_detach(in);
}

static void runs_to_where_it_comes(void) { runs_to_its_entry(true); }
static void runs_not_to_where_it_never_comes(void) { runs_to_its_entry(false); }

static void runs_nothing_that_has_threads(void)
{
	struct target t;
	struct err e;
	if (!CHECK(target_start(&t, (char *[]){ (char *)TRIGGER_DIR "/blockers", "2", NULL })))
		return;
	struct inject *in = attach(t.pid);
	if (in && stop(in))
		CHECK_EQ(inject_run_to(in, auxv_of(t.pid, AT_ENTRY), &e), -EINVAL);
	inject_detach(in);
	CHECK_EQ(target_end(&t), 0);
}

static void says_what_is_wrong(void)
{
	struct inject *in = NULL;
	struct err e;
	char *missing[] = { "no-such-program-anywhere", NULL };
	CHECK_EQ(inject_spawn(missing, &in, &e), -ENOENT);
	CHECK_STR(e.msg, "cannot run no-such-program-anywhere: No such file or directory");
	CHECK_EQ(inject_attach(0x3fffffff, &in, &e), -ESRCH);
	CHECK_STR(e.msg, "there is no process 1073741823");
	CHECK_EQ(inject_attach(2, &in, &e) < 0, 1); /* a kernel thread, or none of ours */
	pid_t pid = fork();
	if (!pid)
		_exit(0);
	siginfo_t si;
	waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	CHECK_EQ(inject_attach(pid, &in, &e), -ESRCH);
	CHECK(strstr(e.msg, "zombie"));
	waitpid(pid, NULL, 0);
}

static void sees_exec_and_end(void)
{
	struct inject *in = NULL;
	struct err e;
	int status = -1;
	char *argv[] = { "sh", "-c", "read x; exec sleep 1000", NULL };
	int p[2], saved = dup(0);
	CHECK(!pipe2(p, O_CLOEXEC));
	dup2(p[0], 0);
	CHECK_MSG(!inject_spawn(argv, &in, &e), "%s", e.msg);
	dup2(saved, 0);
	if (!in)
		return;
	resume(in);
	CHECK_EQ(inject_poll(in, &status), INJECT_RUNNING);
	CHECK_EQ(write(p[1], "x\n", 2), 2);
	for (int i = 0; i < 2000 && inject_poll(in, &status) == INJECT_RUNNING; i++)
		usleep(1000);
	CHECK_EQ(inject_poll(in, &status), INJECT_EXECED);
	CHECK_EQ(inject_stop(in, &e), -ESRCH);
	CHECK(strstr(e.msg, "another program"));
	kill(inject_pid(in), SIGKILL);
	for (int i = 0; i < 2000 && inject_poll(in, &status) != INJECT_EXITED; i++)
		usleep(1000);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	inject_detach(in);
}

/* Whoever holds the stop may be killed. */
static void outlives_its_controller(void)
{
	struct target t;
	if (!CHECK(target_start(&t, (char *[]){ (char *)TRIGGER_DIR "/blockers", NULL })))
		return;
	for (int i = 0; i < 10; i++) {
		int p[2];
		char c;
		CHECK(!pipe2(p, O_CLOEXEC));
		pid_t pid = fork();
		if (!pid) {
			struct inject *in;
			uint64_t args[6] = { 0 };
			int64_t v;
			if (inject_attach(t.pid, &in, NULL) || inject_stop(in, NULL))
				_exit(1);
			if (i % 2)
				inject_syscall(in, SYS_getpid, args, &v, NULL);
			if (i % 2 && inject_settle(in, NULL))
				_exit(1);
			if (write(p[1], "", 1) == 1)
				pause();
			_exit(1);
		}
		CHECK_EQ(read(p[0], &c, 1), 1);
		close(p[0]);
		close(p[1]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	CHECK_EQ(target_end(&t), 0);
}

TAP_MAIN(TEST(says_what_is_wrong), TEST(spawns_before_the_first_instruction), TEST(sees_exec_and_end),
	 TEST(maps_a_descriptor), TEST(owns_pages_as_they_are), TEST(signals_arrive), TEST(job_control_is_kept), TEST(invisible_to_blocked_threads),
	 TEST(invisible_to_static_glibc), TEST(serialises_who_stands), TEST(invisible_to_static_musl), TEST(many_threads), TEST(outlives_its_controller),
	 TEST(runs_to_where_it_comes), TEST(runs_not_to_where_it_never_comes), TEST(runs_nothing_that_has_threads))
