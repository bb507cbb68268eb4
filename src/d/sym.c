/* SPDX-License-Identifier: MIT */
/* Variables: the built-in ones, and those that scripts make. */
#include "d/layout_int.h"

struct d_type *d_typename(struct d_compiler *c, const char *name)
{
	return d_map_get(&c->typedefs, name);
}

struct d_var *d_var_find(struct d_compiler *c, enum d_scope scope, const char *name)
{
	for (struct d_var *v = scope == D_GLOBAL ? c->params : NULL; v; v = v->next_param)
		if (v->name == name)
			return v;
	struct d_var *v = d_map_get(&c->vars[scope], name);
	return v || scope != D_GLOBAL ? v : d_std_name(c, name);
}

struct d_var *d_var_new(struct d_compiler *c, enum d_scope scope, const char *name, enum d_var_kind kind,
			struct d_type *type, struct d_place at)
{
	struct d_var *v = d_alloc(c, sizeof(*v));
	*v = (struct d_var){ .name = name, .kind = kind, .scope = scope, .type = type, .at = at };
	d_map_put(c, &c->vars[scope], name, v);
	*c->var_tail = v;
	c->var_tail = &v->next;
	return v;
}

static const struct {
	const char *name, *type;
	uint32_t what;
} builtins[] = {
	{ "args", NULL, D_B_ARGS }, { "uregs", NULL, D_B_UREGS },
	{ "timestamp", "uint64_t", D_B_ENV + WIRE_ENV_TIMESTAMP },
	{ "walltimestamp", "int64_t", D_B_ENV + WIRE_ENV_WALLTIMESTAMP },
	{ "pid", "pid_t", D_B_ENV + WIRE_ENV_PID }, { "tid", "id_t", D_B_ENV + WIRE_ENV_TID },
	{ "ppid", "pid_t", D_B_ENV + WIRE_ENV_PPID }, { "uid", "uid_t", D_B_ENV + WIRE_ENV_UID },
	{ "gid", "gid_t", D_B_ENV + WIRE_ENV_GID }, { "cpu", "processorid_t", D_B_ENV + WIRE_ENV_CPU },
	{ "execname", "string", D_B_ENV + WIRE_ENV_EXECNAME },
	{ "__in_kernel", "int", D_B_ENV + WIRE_ENV_IN_KERNEL },
	{ "__at_jump", "int", D_B_ENV + WIRE_ENV_AT_JUMP },
	{ "__psargs", "string", D_B_ENV + WIRE_ENV_PSARGS }, /* for curpsinfo->pr_psargs */
	{ "probeprov", "string", D_B_ENV + WIRE_ENV_PROBEPROV }, { "probemod", "string", D_B_ENV + WIRE_ENV_PROBEMOD },
	{ "probefunc", "string", D_B_ENV + WIRE_ENV_PROBEFUNC }, { "probename", "string", D_B_ENV + WIRE_ENV_PROBENAME },
	{ "id", "uint_t", D_B_ENV + WIRE_ENV_PROBEID }, { "probeid", "uint_t", D_B_ENV + WIRE_ENV_PROBEID }, { "epid", "uint64_t", D_B_EPID },
	{ "ucaller", "uint64_t", D_B_UCALLER }, { "errno", "int", D_B_ERRNO }, { "ipl", "uint_t", D_B_ZERO },
	{ "vtimestamp", "uint64_t", D_B_VTIMESTAMP }, { "curthread", "uint64_t", D_B_CURTHREAD },
	{ "ustackdepth", "uint32_t", D_B_USTACKDEPTH }, { "stackdepth", "uint32_t", D_B_KSTACKDEPTH },
	{ "caller", "uintptr_t", D_B_KCALLER },
};

static const struct {
	const char *name;
	int64_t val;
} constants[] = {
	{ "NULL", 0 }, /* converts to any pointer and to string, as 0 does */
	{ "R_R15", WIRE_R15 }, { "R_R14", WIRE_R14 }, { "R_R13", WIRE_R13 }, { "R_R12", WIRE_R12 }, { "R_RBP", WIRE_RBP },
	{ "R_RBX", WIRE_RBX }, { "R_R11", WIRE_R11 }, { "R_R10", WIRE_R10 }, { "R_R9", WIRE_R9 }, { "R_R8", WIRE_R8 },
	{ "R_RAX", WIRE_RAX }, { "R_RCX", WIRE_RCX }, { "R_RDX", WIRE_RDX }, { "R_RSI", WIRE_RSI }, { "R_RDI", WIRE_RDI },
	{ "R_TRAPNO", WIRE_ORIG_RAX }, { "R_RIP", WIRE_RIP }, { "R_CS", WIRE_CS }, { "R_RFL", WIRE_EFLAGS },
	{ "R_RSP", WIRE_RSP }, { "R_SS", WIRE_SS }, { "R_PC", WIRE_RIP }, { "R_FP", WIRE_RBP }, { "R_SP", WIRE_RSP },
	{ "R_PS", WIRE_EFLAGS }, { "R_R0", WIRE_RAX }, { "R_R1", WIRE_RBX },
	{ "R_XMM0", WIRE_XMM0 + 0 }, { "R_XMM1", WIRE_XMM0 + 1 }, { "R_XMM2", WIRE_XMM0 + 2 }, { "R_XMM3", WIRE_XMM0 + 3 },
	{ "R_XMM4", WIRE_XMM0 + 4 }, { "R_XMM5", WIRE_XMM0 + 5 }, { "R_XMM6", WIRE_XMM0 + 6 }, { "R_XMM7", WIRE_XMM0 + 7 },
	{ "R_XMM8", WIRE_XMM0 + 8 }, { "R_XMM9", WIRE_XMM0 + 9 }, { "R_XMM10", WIRE_XMM0 + 10 }, { "R_XMM11", WIRE_XMM0 + 11 },
	{ "R_XMM12", WIRE_XMM0 + 12 }, { "R_XMM13", WIRE_XMM0 + 13 }, { "R_XMM14", WIRE_XMM0 + 14 }, { "R_XMM15", WIRE_XMM0 + 15 },
	{ "DTRACEFLT_UNKNOWN", WIRE_FAULT_NONE }, { "DTRACEFLT_BADADDR", WIRE_FAULT_BADADDR },
	{ "DTRACEFLT_BADALIGN", WIRE_FAULT_BADALIGN }, { "DTRACEFLT_ILLOP", WIRE_FAULT_ILLOP },
	{ "DTRACEFLT_DIVZERO", WIRE_FAULT_DIVZERO }, { "DTRACEFLT_NOSCRATCH", WIRE_FAULT_NOSCRATCH },
	{ "DTRACEFLT_KPRIV", WIRE_FAULT_KPRIV }, { "DTRACEFLT_UPRIV", WIRE_FAULT_UPRIV },
	{ "DTRACEFLT_TUPOFLOW", WIRE_FAULT_TUPOFLOW }, { "DTRACEFLT_BADSTACK", WIRE_FAULT_BADSTACK },
	{ "DTRACEFLT_BADSIZE", WIRE_FAULT_BADSIZE }, { "DTRACEFLT_BADINDEX", WIRE_FAULT_BADINDEX },
	{ "DTRACEFLT_LIBRARY", WIRE_FAULT_LIBRARY }, { "DTRACEFLT_NORETVAL", WIRE_FAULT_NORETVAL },
};

static struct d_var *add_builtin(struct d_compiler *c, const char *name, const char *type, uint32_t what)
{
	struct d_type *t = c->t.ulong;
	if (type && !strcmp(type, "string"))
		t = c->t.string;
	else if (type && !strcmp(type, "int"))
		t = c->t.int_;
	else if (type)
		t = d_typename(c, d_intern(c, type, strlen(type)));
	struct d_var *v = d_var_new(c, D_GLOBAL, d_intern(c, name, strlen(name)), D_VAR_BUILTIN, t,
		(struct d_place){ 0 });
	v->id = what;
	return v;
}

void d_syms_init(struct d_compiler *c)
{
	/* What it has is looked up when somebody asks. */
	struct d_type *task = d_net_weak_struct(c, d_intern(c, "task_struct", 11));
	task->is_incomplete = true;
	c->task_ptr = d_type_ptr(c, task);
	for (uint32_t i = 0; i < D_PREC_CNT; i++) {
		char name[8] = { 'a', 'r', 'g', (char)('0' + i) };
		add_builtin(c, name, "int64_t", D_B_ARG0 + i);
	}
	for (size_t i = 0; i < ARRAY_CNT(builtins); i++)
		add_builtin(c, builtins[i].name, builtins[i].type, builtins[i].what);
	for (size_t i = 0; i < ARRAY_CNT(constants); i++) {
		const char *name = d_intern(c, constants[i].name, strlen(constants[i].name));
		d_var_new(c, D_GLOBAL, name, D_VAR_ENUMERATOR, c->t.int_,
			(struct d_place){ 0 })->val = constants[i].val;
	}
}
