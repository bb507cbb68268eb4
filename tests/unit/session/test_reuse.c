/* SPDX-License-Identifier: MIT */
/*
 * The number of a process is given to another while we mean the first.  The
 * first leaves a child that shares its memory, so the memory does not tell;
 * the second must never be touched: its thread is not woken once.
 */
#include "fixture.h"

#include "inject/inject.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

struct pair {
	pid_t pid, sharer; /* of one memory */
};

static _Noreturn int pauses(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static _Noreturn void first(int say)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t sharer = clone(pauses, stack + sizeof(stack), CLONE_VM, NULL);
	if (write(say, &sharer, sizeof(sharer)) == (ssize_t)sizeof(sharer))
		pauses(NULL);
	_exit(1);
}

static bool pair_start(struct pair *p)
{
	int say[2];
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (pipe2(say, O_CLOEXEC))
		return false;
	p->pid = fork();
	if (!p->pid)
		first(say[1]);
	bool ok = read(say[0], &p->sharer, sizeof(p->sharer)) == (ssize_t)sizeof(p->sharer) && p->sharer > 0;
	close(say[0]);
	close(say[1]);
	return CHECK(ok);
}

static void pair_end(struct pair *p, pid_t second)
{
	if (second > 0)
		kill(second, SIGKILL);
	if (second > 0)
		waitpid(second, NULL, 0);
	kill(p->sharer, SIGKILL);
	waitpid(p->sharer, NULL, __WALL);
}

/* The number that the first had, for another that only waits; 0: not permitted to choose. */
static pid_t take_number(const struct pair *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	pid_t want = p->pid;
	struct clone_args a = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&want, .set_tid_size = 1 };
	pid_t got = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	if (!got)
		pauses(NULL);
	for (int i = 0; got > 0 && i < 1000 && target_state(&(struct target){ .pid = got }) != 'S'; i++)
		usleep(1000);
	return got > 0 ? got : 0;
}

/* How often it has been woken, in effect. */
static long switches(pid_t pid)
{
	char path[64], line[256];
	long n = 0, v;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		n += sscanf(line, "voluntary_ctxt_switches: %ld", &v) == 1 || sscanf(line, "nonvoluntary_ctxt_switches: %ld", &v) == 1 ? v : 0;
	if (f)
		fclose(f);
	return n;
}

static void not_stopped(void)
{
	struct pair p;
	struct inject *in = NULL;
	struct err e = { 0 };
	if (!pair_start(&p))
		return;
	CHECK_MSG(!inject_attach(p.pid, &in, &e), "%s", e.msg);
	pid_t second = take_number(&p);
	if (second && in) {
		long before = switches(second);
		CHECK_EQ(inject_stop(in, &e), -ESRCH);
		CHECK(strstr(e.msg, "has ended"));
		CHECK_EQ(inject_poll(in, NULL), INJECT_EXITED);
		CHECK_EQ(switches(second), before);
	}
	inject_detach(in);
	pair_end(&p, second);
	if (!second)
		SKIP("not permitted to choose the number of a process (CAP_SYS_ADMIN)");
}

static void not_disarmed(void)
{
	struct fixture f;
	struct pair p;
	if (!pair_start(&p))
		return;
	if (!fixture_init(&f)) {
		pair_end(&p, 0);
		return;
	}
	bool attached = fixture_attach(&f, p.pid);
	pid_t second = take_number(&p);
	if (second && attached) {
		long before = switches(second);
		uint64_t text = fixture_text_hash(second);
		fixture_disarm(&f);
		CHECK_EQ(switches(second), before);
		CHECK(fixture_text_hash(second) == text);
	}
	fixture_deinit(&f);
	pair_end(&p, second);
	if (!second)
		SKIP("not permitted to choose the number of a process (CAP_SYS_ADMIN)");
}

static void not_armed(void)
{
	struct fixture f;
	struct pair p;
	struct err e;
	uint32_t sites = 0;
	if (!pair_start(&p))
		return;
	if (!fixture_init(&f)) {
		pair_end(&p, 0);
		return;
	}
	bool attached = fixture_attach(&f, p.pid) && fixture_probe(&f, "libc.so", "getenv", WIRE_SITE_ENTRY);
	pid_t second = take_number(&p);
	if (second && attached) {
		long before = switches(second);
		uint64_t text = fixture_text_hash(second);
		session_arm(f.s, f.sp, f.probe_cnt, fixture_refused, &f, &sites, &e);
		CHECK_EQ(sites, 0);
		CHECK_EQ(switches(second), before);
		CHECK(fixture_text_hash(second) == text);
	}
	fixture_deinit(&f);
	pair_end(&p, second);
	if (!second)
		SKIP("not permitted to choose the number of a process (CAP_SYS_ADMIN)");
}

/* Who repairs by a number that was noted long ago may find anybody. */
static void not_stopped_to_repair_nothing(void)
{
	struct session_repaired did = { .map_cnt = 1 };
	struct err e;
	struct pair p;
	if (!pair_start(&p))
		return;
	for (int i = 0; i < 1000 && target_state(&(struct target){ .pid = p.pid }) != 'S'; i++)
		usleep(1000);
	long before = switches(p.pid);
	CHECK_MSG(!session_repair(p.pid, &did, &e), "%s", e.msg);
	CHECK_EQ(did.place_cnt + did.sema_cnt + did.map_cnt + did.fd_cnt, 0);
	CHECK_EQ(switches(p.pid), before);
	kill(p.pid, SIGKILL);
	waitpid(p.pid, NULL, 0);
	pair_end(&p, 0);
}

TAP_MAIN(TEST(not_stopped_to_repair_nothing), TEST(not_stopped), TEST(not_armed), TEST(not_disarmed))
