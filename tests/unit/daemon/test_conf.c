/* SPDX-License-Identifier: MIT */
/* dyntraced.conf, and messages that come in parts. */
#include "../tap.h"

#include "daemon/daemon_int.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static struct conf conf;

static int line(const char *text)
{
	char buf[128];
	struct err e;
	snprintf(buf, sizeof(buf), "%s", text);
	return conf_line(&conf, buf, &e);
}

static void lines(void)
{
	conf_init(&conf);
	CHECK(conf_kernel(&conf));
	CHECK_EQ(line(""), 0);
	CHECK_EQ(line("   # processes = own\n"), 0);
	CHECK(!conf.own_only);
	CHECK_EQ(line("processes=own # theirs\n"), 0);
	CHECK(conf.own_only && !conf_kernel(&conf));
	CHECK_EQ(line(" kernel = yes"), 0);
	CHECK(conf_kernel(&conf));
	CHECK_EQ(line("memory = 3m"), 0);
	CHECK_EQ(conf.memory_max, 3 << 20);
	CHECK_EQ(line("clients-of-a-user = 2"), 0);
	CHECK_EQ(conf.client_max_each, 2);
	CHECK_EQ(line("group = wheel"), 0);
	CHECK_STR(conf.group, "wheel");
}

static void wrong_lines(void)
{
	static const char *const bad[] = { "processes", "processes =", "processes = mine", "= 1", "memory = -1", "memory = 0", "memory = 1x",
		"memory = 1mm", "memory = 99999999999999999999", "memory = 2000g", "clients = 5000", "destructive = 1", "group =", "Group = x" };
	for (size_t i = 0; i < ARRAY_CNT(bad); i++) {
		conf_init(&conf);
		CHECK_MSG(line(bad[i]) == -EINVAL, "%s", bad[i]);
		CHECK_MSG(conf.memory_max == 1 << 30 && !conf.own_only && !conf.destructive, "%s changes nothing", bad[i]);
	}
}

static void parts(void)
{
	int s[2];
	struct io io = { 0 };
	struct proto_out o = { 0 };
	struct proto_in in;
	enum proto_type type;
	struct err e;
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	io.fd = s[0];
	CHECK(proto_words_encode(&o, PROTO_LOOKUP, (uint64_t[]){ 3, 0x1234 }));
	for (size_t i = 0; i < o.cnt; i++) {
		CHECK_EQ(io_next(&io, &type, &in, &e), 0);
		CHECK_EQ(write(s[1], o.p + i, 1), 1);
	}
	CHECK_EQ(io_next(&io, &type, &in, &e), 1);
	CHECK_EQ(type, PROTO_LOOKUP);
	CHECK_EQ(proto_get_u64(&in), 3);
	CHECK_EQ(proto_get_u64(&in), 0x1234);
	CHECK(proto_get_end(&in));
	CHECK_EQ(write(s[1], "\0\0\0\0\0\0\0", 8), 8);
	CHECK_EQ(io_next(&io, &type, &in, &e), -EPROTO);
	close(s[1]);
	io_deinit(&io);
	proto_out_deinit(&o);
	close(s[0]);
}

TAP_MAIN(TEST(lines), TEST(wrong_lines), TEST(parts))
