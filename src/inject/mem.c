/* SPDX-License-Identifier: MIT */
#include "inject/inject_int.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK 16384u

/* Of a process that stands, and so runs the program that we attached to; there are pages that only the other way can read. */
static bool read_block(const struct inject *in, uint64_t addr, void *buf, size_t bytes)
{
	const struct iovec to = { buf, bytes }, from = { (void *)addr, bytes };
	return in->stopped && in->link < 0 && bytes >= BLOCK && process_vm_readv(in->pid, &to, 1, &from, 1, 0) == (ssize_t)bytes;
}

int inject_read(struct inject *in, uint64_t addr, void *buf, size_t bytes, struct err *reterr)
{
	uint8_t *p = buf;
	for (size_t done = read_block(in, addr, buf, bytes) ? bytes : 0; done < bytes;) {
		ssize_t n = pread(in->mem_fd, p + done, bytes - done, (off_t)(addr + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			return inject_gone(in, reterr);
		if (n < 0)
			return err_setf(reterr, -errno, "cannot read memory of process %d at 0x%llx: %s", (int)in->pid,
					(unsigned long long)(addr + done), strerror(errno));
		done += (size_t)n;
	}
	return 0;
}

/* The way that works where the kernel keeps /proc/PID/mem from writing text. */
static int poke(struct inject *in, uint64_t addr, const uint8_t *p, size_t bytes)
{
	pid_t tid = in->stopped ? in->threads[0].tid : 0;
	for (size_t done = 0; done < bytes;) {
		uint64_t at = align_down(addr + done, 8), off = addr + done - at;
		size_t n = 8 - off < bytes - done ? 8 - off : bytes - done;
		long old, word;
		errno = 0;
		old = word = tid ? ptrace(PTRACE_PEEKDATA, tid, at, 0) : 0;
		if (errno || !tid)
			return -EIO;
		memcpy((uint8_t *)&word + off, p + done, n);
		if (word != old && ptrace(PTRACE_POKEDATA, tid, at, word))
			return -EIO;
		done += n;
	}
	return 0;
}

int inject_write(struct inject *in, uint64_t addr, const void *buf, size_t bytes, struct err *reterr)
{
	const uint8_t *p = buf;
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pwrite(in->mem_fd, p + done, bytes - done, (off_t)(addr + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			return inject_gone(in, reterr);
		if (n < 0 && poke(in, addr + done, p + done, bytes - done))
			return err_setf(reterr, -EIO, "cannot write memory of process %d at 0x%llx (a file that is mapped "
					"shared?)", (int)in->pid, (unsigned long long)(addr + done));
		done += n < 0 ? bytes - done : (size_t)n;
	}
	return 0;
}

int inject_own_pages(struct inject *in, uint64_t addr, void *buf, size_t bytes)
{
	int r = inject_read(in, addr, buf, bytes, NULL);
	if (r) /* what is not mapped is EIO, too */
		return r == -ESRCH ? r : -EFAULT;
	return pwrite(in->mem_fd, buf, bytes, (off_t)addr) == (ssize_t)bytes ? 0 : -EIO;
}
