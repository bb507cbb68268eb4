/* SPDX-License-Identifier: MIT */
/*
 * What DTrace keeps in its folder of libraries and every script may use:
 * names of errors and signals, and what tells about the process, the thread
 * and the processor in structures.
 */
#include "d/layout_int.h"

#include <errno.h>
#include <signal.h>

#define NAME(n) { #n, n }
static const struct {
	const char *name;
	int val;
} names[] = {
	NAME(EPERM), NAME(ENOENT), NAME(ESRCH), NAME(EINTR), NAME(EIO), NAME(ENXIO), NAME(E2BIG), NAME(ENOEXEC),
	NAME(EBADF), NAME(ECHILD), NAME(EAGAIN), NAME(ENOMEM), NAME(EACCES), NAME(EFAULT), NAME(ENOTBLK), NAME(EBUSY),
	NAME(EEXIST), NAME(EXDEV), NAME(ENODEV), NAME(ENOTDIR), NAME(EISDIR), NAME(EINVAL), NAME(ENFILE),
	NAME(EMFILE), NAME(ENOTTY), NAME(ETXTBSY), NAME(EFBIG), NAME(ENOSPC), NAME(ESPIPE), NAME(EROFS), NAME(EMLINK),
	NAME(EPIPE), NAME(EDOM), NAME(ERANGE), NAME(EDEADLK), NAME(ENAMETOOLONG), NAME(ENOLCK), NAME(ENOSYS),
	NAME(ENOTEMPTY), NAME(ELOOP), NAME(EWOULDBLOCK), NAME(ENOMSG), NAME(EIDRM), NAME(ECHRNG), NAME(EL2NSYNC),
	NAME(EL3HLT), NAME(EL3RST), NAME(ELNRNG), NAME(EUNATCH), NAME(ENOCSI), NAME(EL2HLT), NAME(EBADE), NAME(EBADR),
	NAME(EXFULL), NAME(ENOANO), NAME(EBADRQC), NAME(EBADSLT), NAME(EDEADLOCK), NAME(EBFONT), NAME(ENOSTR),
	NAME(ENODATA), NAME(ETIME), NAME(ENOSR), NAME(ENONET), NAME(ENOPKG), NAME(EREMOTE), NAME(ENOLINK), NAME(EADV),
	NAME(ESRMNT), NAME(ECOMM), NAME(EPROTO), NAME(EMULTIHOP), NAME(EDOTDOT), NAME(EBADMSG), NAME(EOVERFLOW),
	NAME(ENOTUNIQ), NAME(EBADFD), NAME(EREMCHG), NAME(ELIBACC), NAME(ELIBBAD), NAME(ELIBSCN), NAME(ELIBMAX),
	NAME(ELIBEXEC), NAME(EILSEQ), NAME(ERESTART), NAME(ESTRPIPE), NAME(EUSERS), NAME(ENOTSOCK),
	NAME(EDESTADDRREQ), NAME(EMSGSIZE), NAME(EPROTOTYPE), NAME(ENOPROTOOPT), NAME(EPROTONOSUPPORT),
	NAME(ESOCKTNOSUPPORT), NAME(EOPNOTSUPP), NAME(EPFNOSUPPORT), NAME(EAFNOSUPPORT), NAME(EADDRINUSE),
	NAME(EADDRNOTAVAIL), NAME(ENETDOWN), NAME(ENETUNREACH), NAME(ENETRESET), NAME(ECONNABORTED), NAME(ECONNRESET),
	NAME(ENOBUFS), NAME(EISCONN), NAME(ENOTCONN), NAME(ESHUTDOWN), NAME(ETOOMANYREFS), NAME(ETIMEDOUT),
	NAME(ECONNREFUSED), NAME(EHOSTDOWN), NAME(EHOSTUNREACH), NAME(EALREADY), NAME(EINPROGRESS), NAME(ESTALE),
	NAME(EUCLEAN), NAME(ENOTNAM), NAME(ENAVAIL), NAME(EISNAM), NAME(EREMOTEIO), NAME(EDQUOT), NAME(ENOMEDIUM),
	NAME(EMEDIUMTYPE), NAME(ECANCELED), NAME(ENOKEY), NAME(EKEYEXPIRED), NAME(EKEYREVOKED), NAME(EKEYREJECTED),
	NAME(EOWNERDEAD), NAME(ENOTRECOVERABLE), NAME(ERFKILL), NAME(EHWPOISON), NAME(SIGHUP), NAME(SIGINT),
	NAME(SIGQUIT), NAME(SIGILL), NAME(SIGTRAP), NAME(SIGABRT), NAME(SIGIOT), NAME(SIGBUS), NAME(SIGFPE),
	NAME(SIGKILL), NAME(SIGUSR1), NAME(SIGSEGV), NAME(SIGUSR2), NAME(SIGPIPE), NAME(SIGALRM), NAME(SIGTERM),
	NAME(SIGSTKFLT), NAME(SIGCHLD), NAME(SIGCLD), NAME(SIGCONT), NAME(SIGSTOP), NAME(SIGTSTP), NAME(SIGTTIN),
	NAME(SIGTTOU), NAME(SIGURG), NAME(SIGXCPU), NAME(SIGXFSZ), NAME(SIGVTALRM), NAME(SIGPROF), NAME(SIGWINCH),
	NAME(SIGIO), NAME(SIGPOLL), NAME(SIGPWR), NAME(SIGSYS),
};

/* All of them in each script's tables would take longer than most scripts. */
struct d_var *d_std_name(struct d_compiler *c, const char *name)
{
	if (name[0] != 'E' && strncmp(name, "SIG", 3))
		return NULL;
	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		if (strcmp(names[i].name, name))
			continue;
		struct d_var *v = d_var_new(c, D_GLOBAL, name, D_VAR_ENUMERATOR, c->t.int_, (struct d_place){ 0 });
		v->val = names[i].val;
		return v;
	}
	return NULL;
}

/* Members without a conversion are of the kernel: to use them is an error that says so. */
static const char std_text[] =
	"typedef struct timestruc { long tv_sec; long tv_nsec; } timestruc_t;\n"
	"typedef struct lwpsinfo {\n"
	"	int pr_flag; int pr_lwpid; uintptr_t pr_addr; uintptr_t pr_wchan; char pr_stype; char pr_state; char pr_sname;\n"
	"	char pr_nice; short pr_syscall; char pr_oldpri; char pr_cpu; int pr_pri; ushort_t pr_pctcpu; ushort_t pr_pad;\n"
	"	timestruc_t pr_start; timestruc_t pr_time; char pr_clname[8]; char pr_name[16]; processorid_t pr_onpro;\n"
	"	processorid_t pr_bindpro; int pr_bindpset; int pr_lgrp; int pr_filler[4];\n"
	"} lwpsinfo_t;\n"
	"typedef struct psinfo {\n"
	"	int pr_flag; int pr_nlwp; pid_t pr_pid; pid_t pr_ppid; pid_t pr_pgid; pid_t pr_sid; uid_t pr_uid; uid_t pr_euid;\n"
	"	uid_t pr_gid; uid_t pr_egid; uintptr_t pr_addr; size_t pr_size; size_t pr_rssize; size_t pr_pad1;\n"
	"	uintptr_t pr_ttydev; ushort_t pr_pctcpu; ushort_t pr_pctmem; timestruc_t pr_start; timestruc_t pr_time;\n"
	"	timestruc_t pr_ctime; char pr_fname[16]; char pr_psargs[80]; int pr_wstat; int pr_argc; uintptr_t pr_argv;\n"
	"	uintptr_t pr_envp; char pr_dmodel; char pr_pad2[3]; id_t pr_taskid; id_t pr_projid; int pr_nzomb; id_t pr_poolid;\n"
	"	id_t pr_zoneid; id_t pr_contract; int pr_filler[1]; lwpsinfo_t pr_lwp;\n"
	"} psinfo_t;\n"
	"inline char PR_MODEL_ILP32 = 1;\n"
	"inline char PR_MODEL_LP64 = 2;\n"
	"translator psinfo_t < struct task_struct *T > {\n"
	"	pr_nlwp = 1; pr_pid = pid; pr_ppid = ppid; pr_uid = uid; pr_gid = gid; pr_addr = (uintptr_t)T;\n"
	"	pr_fname = execname; pr_psargs = __psargs; pr_wstat = 0; pr_dmodel = PR_MODEL_LP64; pr_taskid = 0;\n"
	"	pr_projid = 0; pr_nzomb = 0; pr_poolid = 0; pr_zoneid = 0; pr_contract = 0;\n"
	"};\n"
	"translator lwpsinfo_t < struct task_struct *T > {\n"
	"	pr_flag = 0; pr_lwpid = tid; pr_addr = (uintptr_t)T; pr_onpro = cpu;\n"
	"};\n"
	"inline psinfo_t *curpsinfo = xlate <psinfo_t *> ((struct task_struct *)curthread);\n"
	"inline lwpsinfo_t *curlwpsinfo = xlate <lwpsinfo_t *> ((struct task_struct *)curthread);\n"
	"typedef struct cpuinfo {\n"
	"	processorid_t cpu_id; int cpu_pset; int cpu_chip; int cpu_lgrp; void *cpu_info;\n"
	"} cpuinfo_t;\n"
	"translator cpuinfo_t < processorid_t C > { cpu_id = C; cpu_pset = 0; cpu_lgrp = 0; };\n"
	"inline cpuinfo_t *curcpu = xlate <cpuinfo_t *> (cpu);\n";

/* Its text is not read yet: a word of a provider has to do. */
static bool names_kernel(const struct d_source *s)
{
	static const char *const provs[] = { "syscall", "sdt", "rawtp", "proc", "sched", "io", "profile", "fbt", "cpc",
		"lockstat", "ip", "tcp", "udp" };
	for (size_t i = 0; i < ARRAY_CNT(provs); i++) {
		size_t len = strlen(provs[i]);
		for (const char *p = s->text; (p = strstr(p, provs[i])); p += len)
			if (p[len] == ':' || (p[len] == '-' && provs[i][1] == 'r') || s->kind != D_SRC_PROGRAM)
				return true;
	}
	return false;
}

/* For scripts that name something of it and do not make it themselves. */
static const char built_in[] = "(built in)";

bool d_std_is(const struct d_source *src) { return src->name == built_in; }

const struct d_source *d_std_source(const struct d_source *srcs, uint32_t cnt)
{
	static const char *const uses[] = { "psinfo", "cpuinfo", "curcpu", "PR_MODEL_" };
	static const char *const kernel_uses[] = { "args", "fds", "fileinfo", "bufinfo", "devinfo", "CLD_", "O_", "B_", "PR_", "pset", "cwd", "root",
		"chip", "lgrp", "cgroup" };
	static const char *const nets[] = { "ip:", "tcp:", "udp:", "TCP_STATE_" };
	static const char *const makes[] = { "struct psinfo", "struct lwpsinfo", "struct cpuinfo", "translator psinfo_t" };
	static const struct d_source std = { .name = built_in, .text = std_text, .kind = D_SRC_LIBRARY };
	static const struct d_source kernel = { .name = built_in, .text = d_std_kernel, .kind = D_SRC_LIBRARY };
	static const struct d_source net = { .name = built_in, .text = d_std_kernel_net, .kind = D_SRC_LIBRARY };
	bool wanted = false, in_kernel = false, in_net = false;
	for (uint32_t i = 0; i < cnt; i++) {
		for (size_t w = 0; w < ARRAY_CNT(uses); w++)
			wanted |= strstr(srcs[i].text, uses[w]) != NULL;
		if (names_kernel(&srcs[i])) {
			in_kernel = true;
			for (size_t w = 0; w < ARRAY_CNT(nets); w++)
				in_net |= strstr(srcs[i].text, nets[w]) != NULL;
			for (size_t w = 0; w < ARRAY_CNT(kernel_uses); w++)
				wanted |= strstr(srcs[i].text, kernel_uses[w]) != NULL;
		}
		for (size_t w = 0; w < ARRAY_CNT(makes); w++)
			if (strstr(srcs[i].text, makes[w]))
				return NULL;
	}
	return !wanted ? NULL : in_net ? &net : in_kernel ? &kernel : &std;
}
