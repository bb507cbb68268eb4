/* SPDX-License-Identifier: MIT */
/*
 * Which code is Go's, by the table of functions that this very program has: as Go 1.26 writes it, the start of the text left out,
 * and linked as the C compiler does, with C before and behind it.  TEXT_NAME: what that start is called; another name than Go's
 * stands for a program that was stripped.
 */
#include "../tap.h"
#include "obj/obj.h"

#include <errno.h>
#include <unistd.h>

__asm__(".text\n"
	".balign 16\n"
	".globl \"" TEXT_NAME "\"\n"
	"\"" TEXT_NAME "\":\n"
	"go_one: .fill 16, 1, 0xc3\n"
	"go_two: .fill 16, 1, 0xc3\n"
	"go_end: .fill 16, 1, 0xc3\n"
	".section .gopclntab, \"a\"\n"
	".balign 32\n"
	"0: .long 0xfffffff1\n"
	".byte 0, 0, 1, 8\n"
	".quad 2, 0, 0\n" /* functions, files, start of the text */
	".quad 1f - 0b, 0, 0, 0, 2f - 0b\n" /* names; the table */
	"1: .asciz \"runtime.goexit\"\n"
	"3: .asciz \"main.two\"\n"
	".balign 8\n"
	"2: .long 0, 4f - 2b, go_two - go_one, 5f - 2b, go_end - go_one\n"
	"4: .long 0, 0, 0, 0\n" /* where it begins, its name, arguments, deferreturn */
	"5: .long go_two - go_one, 3b - 1b, 0, 5\n"
	".previous\n");
extern const uint8_t one[] __asm__("go_one"), two[] __asm__("go_two"), end[] __asm__("go_end");

static struct obj_module *exe_of(struct obj_proc **ret)
{
	struct err e;
	int rc = obj_proc_open(getpid(), ret, &e);
	CHECK_MSG(!rc, "open: %s", rc ? e.msg : "");
	for (uint32_t i = 0; !rc && i < obj_module_cnt(*ret); i++)
		if (obj_module_at(*ret, i)->is_exe)
			return obj_module_at(*ret, i);
	return NULL;
}

static void whose_code(void)
{
	bool known = !strcmp(TEXT_NAME, "runtime.text");
	struct obj_proc *p;
	struct obj_module *m = exe_of(&p);
	CHECK(m && obj_module_is_go(p, m));
	CHECK(obj_is_go_code(p, m, (uint64_t)one) && obj_is_go_code(p, m, (uint64_t)end - 1));
	CHECK_MSG(obj_is_go_code(p, m, (uint64_t)whose_code) == !known, "C counts as Go's where nothing tells them apart");
	CHECK_MSG(obj_is_go_code(p, m, (uint64_t)end) == !known, "what is behind the last function");
	obj_proc_close(p);
}

static void entered(void)
{
	struct obj_proc *p;
	struct obj_module *m = exe_of(&p);
	const uint64_t *at;
	uint32_t cnt = 0;
	int rc = obj_go_entered(p, m, (uint64_t)one, (uint64_t)end, &at, &cnt);
	if (strcmp(TEXT_NAME, "runtime.text") != 0)
		CHECK_MSG(rc == -ENOENT, "%d: nobody knows", rc);
	else
		CHECK_MSG(!rc && cnt == 2 && at[0] == (uint64_t)one + 1 && at[1] == (uint64_t)two + 5, "%d: %u places", rc, cnt);
	obj_proc_close(p);
}

TAP_MAIN(TEST(whose_code), TEST(entered))
