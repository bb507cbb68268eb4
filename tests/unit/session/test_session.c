/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "ring/ring.h"

#include <errno.h>

static bool start_calls(struct target *t, const char *how, const char *threads, const char *round)
{
	char path[512];
	snprintf(path, sizeof(path), TRIGGER_DIR "/%s", how);
	return CHECK(target_start(t, (char *[]){ path, (char *)threads, (char *)round, NULL }));
}

static void go(struct target *t)
{
	char line[64] = "";
	CHECK(target_tell(t, "go", line, sizeof(line)));
	CHECK_STR(line, "done");
}

/* @threads threads call work 1000 times each; leaf 1000 + 750 times. */
static void count_exactly(const char *how, const char *threads)
{
	struct fixture f;
	struct target t;
	uint64_t n = strtoul(threads, NULL, 10) * 1000;
	if (!fixture_init(&f))
		return;
	if (start_calls(&t, how, threads, "1000") && fixture_attach(&f, t.pid)) {
		uint64_t before = fixture_text_hash(t.pid);
		fixture_probe(&f, "calls", "work", WIRE_SITE_ENTRY);
		CHECK_EQ(fixture_arm(&f), 1);
		go(&t);
		CHECK_EQ(fixture_hits(&f), n);
		go(&t);
		CHECK_EQ(fixture_hits(&f), 2 * n);
		session_enable(f.s, false);
		go(&t);
		CHECK_EQ(fixture_hits(&f), 2 * n);
		fixture_disarm(&f);
		CHECK_EQ(fixture_traces(t.pid), 0);
		CHECK(fixture_text_hash(t.pid) == before);
		go(&t);
		CHECK_EQ(target_wait(&t), 0);
	}
	fixture_deinit(&f);
}

static void counts_calls(void) { count_exactly("calls", "1"); }
static void counts_calls_of_threads(void) { count_exactly("calls", "8"); }
static void counts_in_static_glibc(void) { count_exactly("calls-static", "2"); }
static void counts_in_static_musl(void)
{
	if (access(TRIGGER_DIR "/calls-musl", X_OK))
		SKIP("musl-gcc is missing: install musl-tools");
	count_exactly("calls-musl", "2");
}

static void entry_and_return_agree(void)
{
	struct fixture f;
	struct target t;
	static const char *const funcs[] = { "work", "leaf", "branchy", "floating" };
	if (!fixture_init(&f))
		return;
	if (start_calls(&t, "calls", "2", "1000") && fixture_attach(&f, t.pid)) {
		for (size_t i = 0; i < ARRAY_CNT(funcs); i++) {
			fixture_probe(&f, "calls", funcs[i], WIRE_SITE_ENTRY);
			fixture_probe(&f, "calls", funcs[i], WIRE_SITE_RETURN);
		}
		fixture_arm(&f);
		CHECK_EQ(f.refused, 0);
		go(&t);
		/* work, floating, branchy once each, leaf once and for 3 of 4 once more; entry and return */
		CHECK_EQ(fixture_hits(&f), 2 * 2 * (1000 + 1000 + 1000 + 1000 + 750));
		fixture_disarm(&f);
		CHECK_EQ(fixture_traces(t.pid), 0);
		CHECK_EQ(target_wait(&t), 0);
	}
	fixture_deinit(&f);
}

static void several_probes_at_one_place(void)
{
	struct fixture f;
	struct target t;
	if (!fixture_init(&f))
		return;
	if (start_calls(&t, "calls", "1", "1000") && fixture_attach(&f, t.pid)) {
		for (int i = 0; i < 3; i++)
			fixture_probe(&f, "calls", "work", WIRE_SITE_ENTRY);
		CHECK_EQ(fixture_arm(&f), 3);
		go(&t);
		CHECK_EQ(fixture_hits(&f), 3000);
		fixture_disarm(&f);
		CHECK_EQ(target_wait(&t), 0);
	}
	fixture_deinit(&f);
}

static void many_cycles_under_load(void)
{
	struct target t;
	static const char *const funcs[] = { "work", "leaf", "branchy", "floating" };
	if (!start_calls(&t, "calls", "4", "0"))
		return;
	uint64_t before = fixture_text_hash(t.pid);
	for (int i = 0; i < 30; i++) {
		struct fixture f;
		if (!fixture_init(&f) || !fixture_attach(&f, t.pid))
			break;
		for (size_t k = 0; k < ARRAY_CNT(funcs); k++) {
			fixture_probe(&f, "calls", funcs[k], WIRE_SITE_ENTRY);
			fixture_probe(&f, "calls", funcs[k], WIRE_SITE_RETURN);
		}
		fixture_arm(&f);
		for (int k = 0; k < 1000 && !fixture_hits(&f); k++)
			usleep(3000);
		CHECK(fixture_hits(&f) > 0);
		fixture_disarm(&f);
		fixture_deinit(&f);
		if (!CHECK(fixture_traces(t.pid) == 0) || !CHECK(fixture_text_hash(t.pid) == before))
			break;
	}
	CHECK_EQ(target_wait(&t), 0);
}

static void counts_malloc_of_python(void)
{
	struct fixture f;
	struct target t;
	char *argv[] = { "python3", "-c",
		"print('ready', flush=True)\nx=0\nwhile True: x=x+len(bytearray(x%5000+600))", NULL };
	if (!fixture_init(&f))
		return;
	if (!target_start(&t, argv)) {
		fixture_deinit(&f);
		SKIP("python3 is missing");
	}
	if (fixture_attach(&f, t.pid)) {
		uint64_t before = fixture_text_hash(t.pid);
		fixture_probe(&f, "libc.so", "malloc", WIRE_SITE_ENTRY);
		CHECK_EQ(fixture_arm(&f), 1);
		usleep(100000);
		CHECK_MSG(fixture_hits(&f) > 1000, "%llu hits", (unsigned long long)fixture_hits(&f));
		fixture_disarm(&f);
		CHECK_EQ(fixture_traces(t.pid), 0);
		CHECK(fixture_text_hash(t.pid) == before);
	}
	CHECK_EQ(target_end(&t), -SIGTERM);
	fixture_deinit(&f);
}

/* Its child has the patched text and our mappings too. */
static void restores_forked_children(void)
{
	struct fixture f;
	struct target t;
	char line[64] = "";
	if (!fixture_init(&f))
		return;
	if (start_calls(&t, "calls", "1", "1000") && fixture_attach(&f, t.pid)) {
		uint64_t before = fixture_text_hash(t.pid);
		fixture_probe(&f, "calls", "work", WIRE_SITE_ENTRY);
		fixture_arm(&f);
		target_tell(&t, "fork", line, sizeof(line));
		pid_t child = (pid_t)atoi(line);
		CHECK(child > 0);
		CHECK(fixture_traces(child) > 0);
		fixture_disarm(&f);
		CHECK_EQ(fixture_traces(child), 0);
		CHECK(fixture_text_hash(child) == before);
		CHECK_EQ(target_wait(&t), 0);
	}
	fixture_deinit(&f);
}

static void outlives_its_controller(void)
{
	struct target t;
	if (!start_calls(&t, "calls", "2", "1000"))
		return;
	int p[2];
	uint64_t before = fixture_text_hash(t.pid);
	CHECK(!pipe2(p, O_CLOEXEC));
	pid_t pid = fork();
	if (!pid) {
		struct fixture f;
		if (!fixture_init(&f) || !fixture_attach(&f, t.pid))
			_exit(1);
		fixture_probe(&f, "calls", "work", WIRE_SITE_ENTRY);
		fixture_probe(&f, "calls", "work", WIRE_SITE_RETURN);
		fixture_arm(&f);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	char c;
	close(p[1]);
	CHECK_EQ(read(p[0], &c, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(p[0]);
	for (int i = 0; i < 3; i++)
		go(&t);
	/* The next one to come takes away what is left. */
	struct fixture f;
	CHECK(fixture_traces(t.pid) > 0);
	CHECK(fixture_text_hash(t.pid) != before);
	if (fixture_init(&f) && fixture_attach(&f, t.pid)) {
		fixture_probe(&f, "calls", "work", WIRE_SITE_ENTRY);
		CHECK_EQ(fixture_arm(&f), 1);
		go(&t);
		CHECK_EQ(fixture_hits(&f), 2000);
		fixture_disarm(&f);
		CHECK_EQ(fixture_traces(t.pid), 0);
		CHECK(fixture_text_hash(t.pid) == before);
		fixture_deinit(&f);
	}
	go(&t);
	CHECK_EQ(target_wait(&t), 0);
}

/* Its own filter would kill it for our system calls, and for those of a probe. */
static void works_under_seccomp(void)
{
	struct fixture f;
	struct target t;
	char line[64];
	if (geteuid())
		SKIP("only root may suspend a seccomp filter");
	if (!fixture_init(&f))
		return;
	if (start_calls(&t, "calls", "2", "1000") && CHECK(target_tell(&t, "seccomp", line, sizeof(line))) &&
	    fixture_attach(&f, t.pid)) {
		fixture_probe(&f, "calls", "work", WIRE_SITE_ENTRY);
		fixture_probe(&f, "calls", "work", WIRE_SITE_RETURN);
		CHECK_EQ(fixture_arm(&f), 2);
		go(&t);
		CHECK_EQ(fixture_hits(&f), 4000);
		fixture_disarm(&f);
		CHECK_EQ(fixture_traces(t.pid), 0);
		go(&t);
		CHECK_EQ(target_wait(&t), 0);
	}
	fixture_deinit(&f);
}

static void refuses_a_second_controller(void)
{
	struct fixture f, g;
	struct target t;
	struct err e;
	if (!fixture_init(&f))
		return;
	if (fixture_init(&g) && start_calls(&t, "calls", "1", "1000") && fixture_attach(&f, t.pid)) {
		fixture_probe(&f, "calls", "work", WIRE_SITE_ENTRY);
		fixture_arm(&f);
		CHECK_EQ(session_attach(g.s, t.pid, &g.proc, &e), -EBUSY);
		CHECK_MSG(strstr(e.msg, "already"), "%s", e.msg);
		go(&t);
		CHECK_EQ(fixture_hits(&f), 1000);
		fixture_disarm(&f);
		CHECK_EQ(target_wait(&t), 0);
		fixture_deinit(&g);
	}
	fixture_deinit(&f);
}

static enum session_event wait_for(struct fixture *f, enum session_event want, int *ret_status)
{
	uint32_t proc;
	for (int i = 0; i < 200; i++) {
		enum session_event ev = session_wait(f->s, 50000000, &proc, ret_status);
		if (ev == want)
			return ev;
		if (ev == SESSION_MODULES)
			session_modules_done(f->s, proc, NULL);
	}
	return SESSION_NOTHING;
}

/* "load" runs in the target while we serve its loader. */
static void arms_what_is_loaded_later(void)
{
	struct fixture f;
	struct target t;
	int status;
	if (!fixture_init(&f))
		return;
	if (start_calls(&t, "calls", "1", "1000") && fixture_attach(&f, t.pid)) {
		fixture_arm(&f);
		if (write(t.in, "load " TRIGGER_DIR "/plugin.so\n", strlen("load " TRIGGER_DIR "/plugin.so\n")) < 0)
			return;
		CHECK_EQ(wait_for(&f, SESSION_MODULES, &status), SESSION_MODULES);
		fixture_probe(&f, "plugin", "plugin_work", WIRE_SITE_ENTRY);
		fixture_probe(&f, "plugin", "plugin_init_step", WIRE_SITE_ENTRY);
		CHECK_EQ(fixture_arm(&f), 2);
		CHECK(!session_modules_done(f.s, f.proc, NULL));
		while (wait_for(&f, SESSION_MODULES, &status) == SESSION_MODULES && fixture_hits(&f) < 1001)
			session_modules_done(f.s, f.proc, NULL);
		session_modules_done(f.s, f.proc, NULL);
		CHECK_EQ(fixture_hits(&f), 1001);
		char line[64];
		CHECK(target_line(&t, line, sizeof(line)));
		go(&t);
		fixture_disarm(&f);
		CHECK_EQ(fixture_traces(t.pid), 0);
		CHECK_EQ(target_wait(&t), 0);
	}
	fixture_deinit(&f);
}

static void spawns_and_sees_the_end(void)
{
	struct fixture f;
	struct err e;
	int status = -1;
	uint32_t modules = 0, proc;
	if (!fixture_init(&f))
		return;
	char *argv[] = { "sh", "-c", "exit 3", NULL };
	if (CHECK_MSG(!session_spawn(f.s, argv, &f.proc, &e), "%s", e.msg)) {
		fixture_arm(&f);
		CHECK(!session_go(f.s, &e));
		for (int i = 0; i < 200; i++) {
			enum session_event ev = session_wait(f.s, 50000000, &proc, &status);
			if (ev == SESSION_MODULES && !modules++) {
				fixture_probe(&f, "libc.so", "malloc", WIRE_SITE_ENTRY);
				fixture_arm(&f);
			}
			if (ev == SESSION_MODULES)
				session_modules_done(f.s, proc, NULL);
			if (ev == SESSION_EXITED)
				break;
		}
		CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status 0x%x", status);
		CHECK(modules >= 1);
		CHECK(fixture_hits(&f) > 0);
		fixture_disarm(&f);
	}
	fixture_deinit(&f);
}

/* A handler that left a body by exit(): its own record is lost, those behind it are not. */
static void closes_what_threads_left(void)
{
	struct fixture f;
	struct err e;
	if (!fixture_init(&f))
		return;
	struct wire_shm *shm = session_shm(f.s);
	struct wire_thread *thr = (struct wire_thread *)((uint8_t *)shm + shm->thread_off + shm->geom.stride);
	struct wire_rec *rec = (struct wire_rec *)((uint8_t *)thr + shm->geom.ring_off);
	uint64_t bytes = sizeof(*rec) + 8;
	thr->state = WIRE_THREAD_LIVE;
	thr->incarnation = 1;
	thr->ring.quick_sp = 1;
	thr->ring.quick_end = bytes;
	thr->ring.head = 2 * bytes;
	struct wire_rec *nested = (struct wire_rec *)((uint8_t *)rec + bytes);
	*nested = (struct wire_rec){ .bytes = (uint32_t)bytes, .type = WIRE_REC_DATA };
	CHECK(!session_disarm(f.s, &e));
	CHECK_EQ(thr->ring.head, 2 * bytes);
	CHECK_EQ(thr->ring.published, 2 * bytes);
	CHECK(rec->type == WIRE_REC_VOID && rec->bytes == bytes && nested->type == WIRE_REC_DATA);
	fixture_deinit(&f);
}

/* While the caller read what there was, who then does not ring again. */
static void hears_who_rang_before(void)
{
	struct fixture f;
	uint32_t proc;
	int status;
	if (fixture_init(&f)) {
		CHECK(session_wait(f.s, 0, &proc, &status) == SESSION_NOTHING);
		session_shm(f.s)->doorbell++;
		CHECK(session_wait(f.s, 1000000000, &proc, &status) == SESSION_DATA);
		CHECK(session_wait(f.s, 0, &proc, &status) == SESSION_NOTHING);
	}
	fixture_deinit(&f);
}

TAP_MAIN(TEST(counts_calls), TEST(counts_calls_of_threads), TEST(counts_in_static_glibc), TEST(counts_in_static_musl),
	 TEST(entry_and_return_agree), TEST(several_probes_at_one_place), TEST(counts_malloc_of_python),
	 TEST(many_cycles_under_load), TEST(restores_forked_children), TEST(outlives_its_controller), TEST(refuses_a_second_controller), TEST(works_under_seccomp),
	 TEST(arms_what_is_loaded_later), TEST(spawns_and_sees_the_end), TEST(closes_what_threads_left), TEST(hears_who_rang_before))
