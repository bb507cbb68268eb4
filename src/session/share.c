/* SPDX-License-Identifier: MIT */
/* The session's memory for a reader in another process. */
#include "session/kern_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int share_own(struct session *s, uint64_t off, uint64_t bytes, struct err *reterr)
{
	s->own_fd = memfd_create("dyntrace-own", MFD_CLOEXEC);
	if (s->own_fd < 0)
		return err_setf(reterr, -errno, "cannot make memory: %s", strerror(errno));
	int r = session_set_size(s->own_fd, off + bytes);
	if (!r && mmap((uint8_t *)s->shm + off, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
		       s->own_fd, (off_t)off) == MAP_FAILED)
		r = -errno;
	return r ? err_setf(reterr, r, "cannot map memory: %s", strerror(-r)) : 0;
}

/* Everybody may open a file in memory whose descriptor he has, as its mode allows: nobody may, then. */
static int reopen(int fd, int *ret, struct err *reterr)
{
	char path[32];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fchmod(fd, 0400) || fstat(fd, &st) || st.st_mode & 0377)
		return err_setf(reterr, -EPERM, "cannot keep the session's memory from being written to: %s", strerror(errno));
	int r = open(path, O_RDONLY | O_CLOEXEC);
	if (r < 0)
		return err_setf(reterr, -errno, "cannot open the session's memory for reading: %s", strerror(errno));
	*ret = r;
	return 0;
}

/* A BPF map that was opened for reading cannot be mapped (the kernel takes VM_SHARED from such mappings, then refuses
 * private ones).  Where only programs in the kernel use the memory, nobody is hurt by who writes to it: their verifier has
 * seen to that, and this process relies on nothing in it. */
static int reopen_map(struct session *s, int *ret, struct err *reterr)
{
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && !s->targets[i]->is_watched && !s->opts.may_write)
			return err_setf(reterr, -EPERM, "the kernel's buffers are not lent to who could write to a process through them");
	*ret = fcntl(s->shm_fd, F_DUPFD_CLOEXEC, 0);
	return *ret < 0 ? err_setf(reterr, -errno, "cannot share the kernel's buffers: %s", strerror(errno)) : 0;
}

int session_share(struct session *s, struct session_shared *ret, struct err *reterr)
{
	struct session_shared v = { -1, -1, s->shm->thread_off, s->shm->geom.stride };
	if (s->own_fd < 0)
		return err_setf(reterr, -EINVAL, "the session was not made to be shared");
	int r = s->opts.kernel ? reopen_map(s, &v.shm_fd, reterr) : reopen(s->shm_fd, &v.shm_fd, reterr);
	if (r)
		return r;
	r = reopen(s->own_fd, &v.own_fd, reterr);
	if (r) {
		close(v.shm_fd);
		return r;
	}
	*ret = v;
	return 0;
}

uint64_t session_memory_used(struct session *s)
{
	struct stat st;
	uint64_t used = !s->opts.kernel && !fstat(s->shm_fd, &st) ? (uint64_t)st.st_blocks * 512 : 0;
	if (s->own_fd >= 0 && !fstat(s->own_fd, &st))
		used += (uint64_t)st.st_blocks * 512;
	return used;
}
