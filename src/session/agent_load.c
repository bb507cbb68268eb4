/* SPDX-License-Identifier: MIT */
/* Maps libdyntrace-agent.so into a stopped target: one read-only executable mapping, relocated here. */
#include "agent/agent.h"
#include "session/session_int.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

struct agent_file {
	uint8_t *bytes;
	size_t cnt;
};

static int open_agent(const char *path, char *buf, size_t cap)
{
	static const char *const beside[] = { "libdyntrace-agent.so", "../lib/libdyntrace-agent.so",
					      "../lib/x86_64-linux-gnu/libdyntrace-agent.so", "../agent/libdyntrace-agent.so" };
	if (path)
		return snprintf(buf, cap, "%s", path), open(path, O_RDONLY | O_CLOEXEC);
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return -1;
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < ARRAY_CNT(beside); i++) {
		snprintf(buf, cap, "%s/%s", self, beside[i]);
		int fd = open(buf, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

static int read_agent(const char *path, struct agent_file *ret, struct err *reterr)
{
	char name[4300] = "";
	struct stat st;
	int fd = open_agent(path, name, sizeof(name));
	if (fd < 0)
		return err_setf(reterr, -ENOENT, "libdyntrace-agent.so is not beside the program nor in its library folder; "
				"install it, or name it with -x agent=PATH");
	int r = -EIO;
	ret->bytes = NULL;
	if (!fstat(fd, &st) && (ret->bytes = malloc((size_t)st.st_size)) &&
	    read(fd, ret->bytes, (size_t)st.st_size) == st.st_size) {
		ret->cnt = (size_t)st.st_size;
		r = 0;
	}
	close(fd);
	return r ? err_setf(reterr, r, "cannot read %s", name) : 0;
}

static const Elf64_Phdr *phdr_at(const struct agent_file *f, int i)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)f->bytes;
	return (const Elf64_Phdr *)(f->bytes + eh->e_phoff) + i;
}

static uint64_t span_of(const struct agent_file *f)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)f->bytes;
	uint64_t end = 0;
	for (int i = 0; i < eh->e_phnum; i++)
		if (phdr_at(f, i)->p_type == PT_LOAD && phdr_at(f, i)->p_vaddr + phdr_at(f, i)->p_memsz > end)
			end = phdr_at(f, i)->p_vaddr + phdr_at(f, i)->p_memsz;
	return align_up(end, PAGE);
}

/* Places the segments in @image and applies RELATIVE relocations for @base; the address of
 * dyntrace_agent_info in the image, or NULL if this is no agent of ours. */
static const struct agent_info *build_image(const struct agent_file *f, uint8_t *image, uint64_t base)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)f->bytes;
	uint64_t rela = 0, rela_bytes = 0, symtab = 0, strtab = 0;
	for (int i = 0; i < eh->e_phnum; i++) {
		const Elf64_Phdr *ph = phdr_at(f, i);
		if (ph->p_type == PT_LOAD)
			memcpy(image + ph->p_vaddr, f->bytes + ph->p_offset, ph->p_filesz);
		if (ph->p_type != PT_DYNAMIC)
			continue;
		for (const Elf64_Dyn *d = (const Elf64_Dyn *)(f->bytes + ph->p_offset); d->d_tag != DT_NULL; d++) {
			rela = d->d_tag == DT_RELA ? d->d_un.d_ptr : rela;
			rela_bytes = d->d_tag == DT_RELASZ ? d->d_un.d_val : rela_bytes;
			symtab = d->d_tag == DT_SYMTAB ? d->d_un.d_ptr : symtab;
			strtab = d->d_tag == DT_STRTAB ? d->d_un.d_ptr : strtab;
		}
	}
	for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= rela_bytes; at += sizeof(Elf64_Rela)) {
		const Elf64_Rela *r = (const Elf64_Rela *)(image + rela + at);
		if (ELF64_R_TYPE(r->r_info) == R_X86_64_GLOB_DAT)
			continue; /* a weak name of offer.c, which does not run here */
		if (ELF64_R_TYPE(r->r_info) != R_X86_64_RELATIVE)
			return NULL;
		*(uint64_t *)(image + r->r_offset) = base + (uint64_t)r->r_addend;
	}
	for (const Elf64_Sym *sym = (const Elf64_Sym *)(image + symtab); symtab && symtab < strtab; sym++) {
		if ((const uint8_t *)sym >= image + strtab)
			break;
		if (!strcmp((const char *)image + strtab + sym->st_name, "dyntrace_agent_info"))
			return (const struct agent_info *)(image + sym->st_value);
	}
	return NULL;
}

static void fill_env(struct jit_env *env, const struct agent_info *info)
{
	const uint64_t *fns = (const uint64_t *)info->fns, *helpers = (const uint64_t *)info->helpers;
	memcpy(env->helper_addr, helpers, sizeof(env->helper_addr));
	env->fn_thread_find = fns[AGENT_FN_thread_find];
	env->fn_enter = fns[AGENT_FN_enter];
	env->fn_leave = fns[AGENT_FN_leave];
	env->fn_rec_open = fns[AGENT_FN_rec_open];
	env->fn_rec_commit = fns[AGENT_FN_rec_commit];
	env->fn_fault = fns[AGENT_FN_fault];
	env->fn_agg = fns[AGENT_FN_agg];
	env->fn_agg_plain = fns[AGENT_FN_agg_plain];
	env->fn_agg_key = fns[AGENT_FN_agg_key];
	env->fn_agg_ustack = fns[AGENT_FN_agg_ustack];
	env->fn_vfork_id_at = fns[AGENT_FN_vfork_id_at];
	env->fn_rec_put = fns[AGENT_FN_rec_put];
	env->fn_rec_publish = fns[AGENT_FN_rec_publish];
	env->fn_env = fns[AGENT_FN_env];
	env->fn_site_args = fns[AGENT_FN_site_args];
	env->fn_child = fns[AGENT_FN_child_enter];
}

static bool is_elf(const struct agent_file *f)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)f->bytes;
	return f->cnt > sizeof(*eh) && !memcmp(eh->e_ident, ELFMAG, SELFMAG) && eh->e_machine == EM_X86_64 &&
	       eh->e_phoff + (uint64_t)eh->e_phnum * sizeof(Elf64_Phdr) <= f->cnt;
}

static bool is_ours(const struct agent_info *info)
{
	return info && info->magic == AGENT_MAGIC && info->version == WIRE_VERSION && info->helper_cnt == IR_HELPER_CNT;
}

/* Whether it is an agent of this version, before anything is done with it. */
static int check_agent(const struct agent_file *f, struct err *reterr)
{
	if (!is_elf(f))
		return err_setf(reterr, -EINVAL, "libdyntrace-agent.so is no x86-64 library");
	uint8_t *image = calloc(1, span_of(f));
	if (!image)
		return err_setf(reterr, -ENOMEM, "out of memory");
	bool ours = is_ours(build_image(f, image, 0));
	free(image);
	return ours ? 0 : err_setf(reterr, -EINVAL, "libdyntrace-agent.so is of another version than this program: install both");
}

int agent_open(const char *path, struct agent_file **ret, struct err *reterr)
{
	struct agent_file *f = calloc(1, sizeof(*f));
	if (!f)
		return err_setf(reterr, -ENOMEM, "out of memory");
	int r = read_agent(path, f, reterr);
	r = r ? r : check_agent(f, reterr);
	if (r) {
		agent_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

void agent_close(struct agent_file *f)
{
	if (f)
		free(f->bytes);
	free(f);
}

int agent_load(struct target *t, const struct agent_file *f, struct err *reterr)
{
	uint64_t span = span_of(f);
	int fd = session_memfd("dyntrace-agent", span), remote = -1;
	if (fd < 0)
		return err_setf(reterr, fd, "cannot make memory for the agent: %s", strerror(-fd));
	uint8_t *image = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int r = image == MAP_FAILED ? err_setf(reterr, -errno, "cannot map the agent: %s", strerror(errno)) : 0;
	if (!r)
		r = inject_pass_fd(t->inj, fd, &remote, reterr);
	if (!r)
		r = inject_mmap(t->inj, 0, span, PROT_READ | PROT_EXEC, MAP_SHARED, remote, 0, &t->agent_addr, reterr);
	if (remote >= 0)
		inject_close_fd(t->inj, remote, NULL);
	if (!r) {
		t->agent_bytes = span;
		fill_env(&t->env, build_image(f, image, t->agent_addr));
	}
	if (image != MAP_FAILED)
		munmap(image, span);
	close(fd);
	return r;
}
