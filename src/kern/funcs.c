/* SPDX-License-Identifier: MIT */
/* Functions of the kernel, and whether programs can be placed at them (ADR 35, 39). */
#include "kern/kern_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct list {
	struct kern_func *v;
	uint32_t cnt, cap;
	bool tried;
} list;

static int add(const char *name, const char *module)
{
	if (list.cnt == list.cap) {
		uint32_t cap = list.cap ? list.cap * 2 : 1u << 16;
		struct kern_func *v = realloc(list.v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		list.v = v;
		list.cap = cap;
	}
	list.v[list.cnt++] = (struct kern_func){ name, module };
	return 0;
}

/* "name", "name [module]". The text is kept: the names are in it. */
static void from_tracefs(char *text)
{
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		char *mod = strstr(line, "\t[");
		mod = mod ? mod : strstr(line, " [");
		if (mod) {
			*mod = 0;
			mod += 2;
			mod[strcspn(mod, "]")] = 0;
		}
		if (strncmp(line, "__ftrace_invalid", 16) != 0 && add(line, mod ? mod : "vmlinux"))
			return;
	}
}

static int from_symbol(void *arg, uint64_t addr, char kind, const char *name, const char *module)
{
	(void)arg, (void)addr;
	if (kind != 't' && kind != 'T')
		return 0;
	char *copy = strdup(name), *mod = !strcmp(module, "vmlinux") ? "vmlinux" : strdup(module);
	return !copy || !mod ? 1 : add(copy, mod);
}

uint32_t kern_funcs(const struct kern_func **ret)
{
	if (!list.tried) {
		list.tried = true;
		char *text = kern_tracefs_read("available_filter_functions");
		if (text)
			from_tracefs(text);
		else
			kern_syms_each(from_symbol, NULL);
	}
	*ret = list.v;
	return list.cnt;
}

bool kern_can_kprobe(struct err *reterr)
{
	if (!kern_may_trace(reterr))
		return false;
	if (!access("/sys/bus/event_source/devices/kprobe/type", F_OK))
		return true;
	err_setf(reterr, -ENOTSUP, "this kernel has no kprobes (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)");
	return false;
}

bool kern_can_probe_funcs(struct err *reterr)
{
	struct err e = { 0 };
	if (!kern_may_trace(reterr))
		return false;
	if (kern_can_kprobe(NULL) || kern_can_fentry(&e))
		return true;
	err_setf(reterr, -ENOTSUP, "this kernel has no probes of its functions: it has no kprobes (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS), and "
		 "%s; what remains are tracepoints (providers syscall, sdt, rawtp, proc, sched, io, ip, tcp, udp, lockstat), profile, cpc and tick",
		 e.msg);
	return false;
}
