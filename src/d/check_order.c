/* SPDX-License-Identifier: MIT */
/*
 * What may follow what in a clause.  A speculation takes all that a clause
 * records, so speculate() comes first and what cannot be taken back does not
 * follow it; a commit() shows what was recorded before the clause, so nothing
 * that the clause records comes before it.
 */
#include "d/check_int.h"

enum {
	DID_RECORD = 1, DID_AGG = 2, DID_SPECULATE = 4, DID_COMMIT = 8,
	DID_WRONG = 16, /* it has been said */
};

static void complain(struct d_compiler *c, const struct d_node *n, const char *tag, const char *what, const char *after)
{
	if (!(c->clause_did & DID_WRONG))
		d_error(c, n->at, tag, "%s may not follow %s", what, after);
	c->clause_did |= DID_WRONG;
}

static const char data_recording[] = "data-recording action(s)";

static void order_commit(struct d_compiler *c, const struct d_node *n)
{
	if (c->clause_did & (DID_RECORD | DID_AGG))
		complain(c, n, "D_COMM_DREC", "commit( )", data_recording);
	c->clause_did |= DID_COMMIT;
}

static void order_speculate(struct d_compiler *c, const struct d_node *n)
{
	if (c->clause_did & DID_SPECULATE)
		complain(c, n, "D_SPEC_SPEC", "speculate( )", "speculate( )");
	else if (c->clause_did & DID_COMMIT)
		complain(c, n, "D_SPEC_COMM", "speculate( )", "commit( )");
	else if (c->clause_did & (DID_RECORD | DID_AGG))
		complain(c, n, "D_SPEC_DREC", "speculate( )", data_recording);
	c->clause_did |= DID_SPECULATE;
}

static void order_agg(struct d_compiler *c, const struct d_node *n)
{
	if (c->clause_did & DID_COMMIT)
		complain(c, n, "D_AGG_COMM", "aggregating actions", "commit( )");
	else if (c->clause_did & DID_SPECULATE)
		complain(c, n, "D_AGG_SPEC", "aggregating actions", "speculate( )");
	c->clause_did |= DID_AGG;
}

bool d_is_destructive(const struct d_func *f)
{
	if (f->kind == D_F_SUBR)
		return f->what == IR_HELPER_copyout || f->what == IR_HELPER_copyoutstr;
	if (f->kind != D_F_ACTION)
		return false;
	switch ((enum d_action)f->what) {
	case D_A_SYSTEM: case D_A_FREOPEN: case D_A_RAISE: case D_A_STOP: case D_A_CHILL: case D_A_KERNEL:
		return true;
	default:
		return false;
	}
}

static void order_destructive(struct d_compiler *c, const struct d_node *n)
{
	if (c->clause_did & DID_SPECULATE)
		complain(c, n, "D_ACT_SPEC", "destructive actions", "speculate( )");
	c->prog.plan.destructive = true;
}

static void order_record(struct d_compiler *c, const struct d_node *n, bool is_exit)
{
	if (is_exit && c->clause_did & DID_SPECULATE)
		complain(c, n, "D_EXIT_SPEC", "exit( )", "speculate( )");
	else if (c->clause_did & DID_COMMIT)
		complain(c, n, "D_DREC_COMM", "data-recording actions", "commit( )");
	c->clause_did |= DID_RECORD;
}

void d_check_order(struct d_compiler *c, const struct d_node *n, const struct d_func *f)
{
	if (f->kind == D_F_AGG) {
		order_agg(c, n);
	} else if (f->kind != D_F_ACTION) {
		if (d_is_destructive(f))
			order_destructive(c, n);
	} else if (f->what == D_A_COMMIT) {
		order_commit(c, n);
	} else if (f->what == D_A_SPECULATE) {
		order_speculate(c, n);
	} else if (d_is_destructive(f)) {
		order_destructive(c, n);
	} else if (f->what != D_A_DISCARD) {
		order_record(c, n, f->what == D_A_EXIT);
	}
}
