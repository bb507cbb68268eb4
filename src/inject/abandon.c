/* SPDX-License-Identifier: MIT */
/*
 * What becomes of the thread that runs our system calls if we are killed.
 *
 * The kernel lets it go on from where it stands.  So it stands on a frame as
 * signal handlers have it, and the `syscall` that it runs is followed by a `ret`,
 * which leads to the code that handlers return to: the thread then restores its
 * own registers and signal mask by itself.
 *
 *   rsp -> address of `mov $15,%eax; syscall`     (struct rt_sigframe of
 *          ucontext: its own registers, mask       arch/x86/include/asm/sigframe.h)
 *          siginfo (unused)
 *          vector registers, as XSAVE writes them
 *
 * The frame lies on its stack below the red zone; the bytes there come back before
 * it goes on.  Where the gadgets or the room are missing it works without.
 */
#include "inject/inject_int.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>


#define RED_ZONE 128
#define XSAVE_MAX 16384
#define XSAVE_SW 464              /* struct _fpx_sw_bytes in the legacy area */
#define XSAVE_HEADER 512
#define XSAVE_LEGACY_AND_HEADER 576
#define XFEATURE_XTILE_DATA 18    /* grows the frame only for those that asked for it */
#define UC_FP_XSTATE 1ull
#define UC_SIGCONTEXT_SS 2ull
#define UC_STRICT_RESTORE_SS 4ull
#define BAD_STACK_FLAGS 0x7fff    /* sigaltstack() refuses them, and so keeps what is set */

/* As the kernel defines them, not libc. */
struct kernel_frame {
	uint64_t pretcode;
	uint64_t uc_flags, uc_link;
	uint64_t ss_sp;
	uint32_t ss_flags, ss_pad;
	uint64_t ss_size;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
	uint64_t sigmask;
	uint8_t info[128];
};

struct fpx_sw {
	uint32_t magic1, extended_bytes;
	uint64_t features;
	uint32_t xsave_bytes, pad[7];
};

/* ---- gadgets ---- */

static const uint8_t syscall_ret[] = { 0x0f, 0x05, 0xc3 };
static const uint8_t sigreturn_libc[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
static const uint8_t sigreturn_short[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };

/* Probes may have come over what was found before. */
static bool find_gadgets(struct inject *in)
{
	struct inject_abandon *a = &in->abandon;
	if (a->none)
		return false;
	if (!inject_stands(in, a->syscall_ret, syscall_ret, sizeof(syscall_ret)))
		a->syscall_ret = inject_find_code(in, syscall_ret, sizeof(syscall_ret));
	if (!inject_stands(in, a->sigreturn, sigreturn_libc, sizeof(sigreturn_libc)) &&
	    !inject_stands(in, a->sigreturn, sigreturn_short, sizeof(sigreturn_short))) {
		a->sigreturn = inject_find_code(in, sigreturn_libc, sizeof(sigreturn_libc));
		if (!a->sigreturn)
			a->sigreturn = inject_find_code(in, sigreturn_short, sizeof(sigreturn_short));
	}
	a->none = !a->syscall_ret || !a->sigreturn;
	return !a->none;
}

void inject_abandon_look(struct inject *in)
{
	find_gadgets(in);
}

/* ---- the frame ---- */

/* Bytes of an XSAVE area in the standard form with @features. */
static uint32_t xsave_bytes(uint64_t features)
{
	uint32_t end = XSAVE_LEGACY_AND_HEADER, a, b, c, d;
	for (unsigned i = 2; i < 63; i++) {
		if (!(features >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		if (a && b + a > end)
			end = b + a;
	}
	return end;
}

/* The vector registers as a signal frame has them; their bytes, or 0. */
static uint32_t read_xsave(pid_t tid, uint8_t *buf)
{
	struct iovec iov = { buf, XSAVE_MAX };
	struct fpx_sw sw = { .magic1 = FP_XSTATE_MAGIC1 };
	uint64_t used;
	if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov) || iov.iov_len < XSAVE_LEGACY_AND_HEADER)
		return 0;
	memcpy(&sw.features, buf + XSAVE_SW, sizeof(sw.features));
	memcpy(&used, buf + XSAVE_HEADER, sizeof(used));
	if (!(used >> XFEATURE_XTILE_DATA & 1))
		sw.features &= ~(1ull << XFEATURE_XTILE_DATA);
	sw.xsave_bytes = xsave_bytes(sw.features);
	if (sw.xsave_bytes > iov.iov_len)
		return 0;
	sw.extended_bytes = sw.xsave_bytes + 4;
	memcpy(buf + XSAVE_SW, &sw, sizeof(sw));
	const uint32_t magic2 = FP_XSTATE_MAGIC2;
	memcpy(buf + sw.xsave_bytes, &magic2, sizeof(magic2));
	return sw.extended_bytes;
}

/* What the kernel would do with an interrupted call when the thread goes on. */
static void resume_call(struct kernel_frame *f, const struct user_regs_struct *r)
{
	int64_t result = (int64_t)r->rax;
	if ((int64_t)r->orig_rax < 0 || result > -512 || result < -516 || result == -515)
		return;
	if (result == -516) { /* what is left of it is lost with sigreturn */
		f->ax = (uint64_t)-EINTR;
		return;
	}
	f->ax = r->orig_rax;
	f->ip = r->rip - 2;
}

static void fill(struct kernel_frame *f, const struct inject *in, const struct user_regs_struct *r, uint64_t fpstate)
{
	*f = (struct kernel_frame){ .pretcode = in->abandon.sigreturn,
		.uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS, .ss_flags = BAD_STACK_FLAGS,
		.r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11, .r12 = r->r12, .r13 = r->r13, .r14 = r->r14,
		.r15 = r->r15, .di = r->rdi, .si = r->rsi, .bp = r->rbp, .bx = r->rbx, .dx = r->rdx, .ax = r->rax,
		.cx = r->rcx, .sp = r->rsp, .ip = r->rip, .flags = r->eflags, .cs = (uint16_t)r->cs, .ss = (uint16_t)r->ss,
		.fpstate = fpstate, .sigmask = in->remote.sigmask };
	resume_call(f, r);
}

/* ---- in and out ---- */

bool inject_abandon_prepare(struct inject *in)
{
	struct inject_abandon *a = &in->abandon;
	const struct inject_thread *t = &in->threads[in->remote.idx];
	uint8_t xsave[XSAVE_MAX + 8];
	struct kernel_frame f;
	uint32_t bytes = find_gadgets(in) ? read_xsave(t->tid, xsave) : 0;
	if (!bytes)
		return false;
	uint64_t fpstate = align_down(t->regs.rsp - RED_ZONE - bytes, 64);
	a->frame = align_down(fpstate - sizeof(f), 16) - 8; /* as at a function's entry */
	a->saved_bytes = (uint32_t)(fpstate + bytes - a->frame);
	a->saved = malloc(a->saved_bytes);
	fill(&f, in, &t->regs, fpstate);
	if (a->saved && !inject_read(in, a->frame, a->saved, a->saved_bytes, NULL) &&
	    !inject_write(in, fpstate, xsave, bytes, NULL) && !inject_write(in, a->frame, &f, sizeof(f), NULL)) {
		struct user_regs_struct regs = t->regs;
		regs.rip = a->syscall_ret + 2;
		regs.rsp = a->frame;
		regs.orig_rax = (uint64_t)-1;
		if (!ptrace(PTRACE_SETREGS, t->tid, 0, &regs))
			return true;
	}
	inject_abandon_undo(in);
	return false;
}

void inject_abandon_undo(struct inject *in)
{
	struct inject_abandon *a = &in->abandon;
	if (a->saved)
		inject_write(in, a->frame, a->saved, a->saved_bytes, NULL);
	free(a->saved);
	a->saved = NULL;
}
