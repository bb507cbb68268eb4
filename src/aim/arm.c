/* SPDX-License-Identifier: MIT */
/* What was matched, armed, and what is to be said of places that could not be. */
#include "aim/aim.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSALS_SHOWN 20

struct refusals {
	struct aim *aim;
	const uint32_t *of; /* by what was given to the session: index into the aim's probes */
	const struct aim_arming *how;
	uint32_t cnt, expected_cnt, gone_cnt;
	struct place { /* for which the kernel is asked */
		const struct probe *probe;
		uint32_t index;
		uint64_t addr;
		char *why; /* owned */
	} *places;
	uint32_t place_cnt;
};

static void PRINTF_LIKE(2, 3) sayf(const struct aim_arming *how, const char *fmt, ...)
{
	char text[ERR_MSG_MAX + 600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	how->say(how->arg, text);
}

/* By a description, without globs. */
static bool is_named(const struct aim *a, const struct probe *p)
{
	for (uint32_t i = 0; i < a->desc_cnt; i++)
		if (!strcmp(a->descs[i].spec.func, p->func))
			return true;
	return false;
}

/* Of a function that nobody could look into only the entry is known. */
static bool postpone(struct refusals *r, const struct session_refusal *why)
{
	if (why->has_no_return || why->is_ours || why->is_last || (why->is_whole && why->probe->kind != WIRE_SITE_ENTRY) ||
	    (!r->how->may_uprobe && !r->how->again))
		return false;
	struct place *v = realloc(r->places, (r->place_cnt + 1ul) * sizeof(*v));
	char *text = v ? strdup(why->why) : NULL;
	r->places = v ? v : r->places;
	if (text)
		v[r->place_cnt++] = (struct place){ why->probe, why->index, why->addr, text };
	return text != NULL;
}

/* What has gone with its library is looked for again when libraries come. */
static void refused(void *arg, const struct session_refusal *why)
{
	struct refusals *r = arg;
	const struct probe *p = why->probe;
	if (why->is_gone) {
		r->aim->probes[r->of[why->index]].armed = false;
		r->gone_cnt++;
		return;
	}
	if (postpone(r, why))
		return;
	/* Nothing is lost where nothing returns, and what the loader does for us is no work of the program's: who asks for one such
	 * function gets to know, who asks for all does not. */
	bool expected = why->has_no_return || why->is_ours;
	bool shown = expected ? !r->expected_cnt++ && is_named(r->aim, p) : r->cnt++ < REFUSALS_SHOWN;
	if (shown || r->how->verbose)
		sayf(r->how, "%s:%s:%s:%s at 0x%llx is not traced: %s", p->prov, p->mod, p->func, p->name,
		     (unsigned long long)why->addr, why->why);
}

/* @u NULL: the kernel was not asked. */
static void tell_place(struct refusals *r, const struct place *p, const struct session_uprobe *u, const char *why)
{
	bool ok = u && u->armed;
	if (ok ? r->how->verbose : r->cnt++ < REFUSALS_SHOWN || r->how->verbose)
		sayf(r->how, "%s:%s:%s:%s at 0x%llx %s: %s%s%s", p->probe->prov, p->probe->mod, p->probe->func, p->probe->name,
		     (unsigned long long)p->addr, ok ? "is a uprobe" : "is not traced", p->why, !ok && *why ? "; " : "", ok ? "" : why);
}

/* The last resort for what was refused; how many places it could have. */
static uint32_t arm_places(struct refusals *r, struct session *s, const struct session_probe *v)
{
	struct session_uprobe *u = calloc(r->place_cnt + 1ul, sizeof(*u));
	uint32_t *of = calloc(r->place_cnt + 1ul, sizeof(*of)), n = 0, done = 0;
	struct err e = { 0 };
	for (uint32_t i = 0; i < r->place_cnt; i++) {
		const struct place *p = &r->places[i];
		if (!r->how->may_uprobe || !u || !of) {
			tell_place(r, p, NULL, "");
			continue;
		}
		of[n] = i;
		u[n++] = (struct session_uprobe){ .probe = &v[p->index], .addr = p->addr };
	}
	int rc = n ? session_arm_uprobes(s, u, n, &e) : 0;
	for (uint32_t i = 0; i < n; i++) {
		done += u[i].armed;
		tell_place(r, &r->places[of[i]], &u[i], u[i].why ? u[i].why : rc ? e.msg : "");
	}
	free(of);
	session_uprobes_free(u, n);
	return done;
}

static void free_places(struct refusals *r)
{
	for (uint32_t i = 0; i < r->place_cnt; i++)
		free(r->places[i].why);
	free(r->places);
}

static void say_cnt(const struct refusals *r, uint32_t sites)
{
	const char *why = r->cnt && r->how->why_not ? r->how->why_not(r->how->arg) : NULL;
	bool more = r->cnt > REFUSALS_SHOWN && !r->how->verbose;
	if (more || why)
		sayf(r->how, "%u of %u places %s not traced%s%s%s", r->cnt, sites + r->cnt, r->cnt == 1 ? "is" : "are",
		     more ? "; -v names them" : "", why ? "; " : "", why ? why : "");
}

static void say_kernel(const struct aim_arming *how, const struct session *s)
{
	const char *why;
	uint32_t n = session_kernel_refused(s, &why);
	if (n)
		sayf(how, "%u probe%s of functions of the kernel %s not armed: %s", n, n == 1 ? "" : "s", n == 1 ? "is" : "are", why);
}

static uint32_t collect(struct aim *a, struct session_probe *v, uint32_t *of)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < a->probe_cnt; i++) {
		struct aim_probe *p = &a->probes[i];
		if (p->armed || !p->prog_cnt)
			continue;
		p->armed = true;
		of[n] = i;
		v[n++] = (struct session_probe){ .probe = probe_at(a->table, i), .proc = p->proc, .progs = p->progs,
						 .prog_cnt = p->prog_cnt };
	}
	return n;
}

/* @cnt probes at @sites places. */
static int armed(struct aim *a, const struct refusals *r, uint32_t cnt, uint32_t sites, struct err *reterr)
{
	say_cnt(r, sites);
	if (cnt && !sites && !a->armed_cnt && r->cnt + r->expected_cnt) {
		err_setf(reterr, -ENOTSUP, "none of the probes can be placed; explain shows why, and the offsets of other places "
			 "(-l with an empty name)");
		return AIM_NOTHING;
	}
	if (!sites && !a->armed_cnt && r->gone_cnt)
		sayf(r->how, "nothing is traced yet: %u place%s went with %s library, which is waited for", r->gone_cnt,
		     r->gone_cnt == 1 ? "" : "s", r->gone_cnt == 1 ? "its" : "their");
	a->armed_cnt += sites;
	if (r->how->verbose)
		sayf(r->how, "%u probes armed at %u places", cnt, sites);
	return 0;
}

int aim_arm(struct aim *a, struct session *s, const struct aim_arming *how, struct err *reterr)
{
	struct session_probe *v = calloc(a->probe_cnt + 1ul, sizeof(*v));
	uint32_t *of = calloc(a->probe_cnt + 1ul, sizeof(*of));
	struct refusals r = { .aim = a, .of = of, .how = how };
	uint32_t sites = 0;
	if (!v || !of) {
		free(of);
		free(v);
		return err_setf(reterr, -ENOMEM, "out of memory");
	}
	uint32_t n = collect(a, v, of);
	int rc = session_arm(s, v, n, refused, &r, &sites, reterr);
	bool again = !rc && r.place_cnt && how->again && how->again(how->arg, sites + r.place_cnt);
	if (!again)
		sites += rc < 0 ? 0 : arm_places(&r, s, v);
	free_places(&r);
	free(of);
	free(v);
	if (again)
		return AIM_AGAIN;
	if (rc >= 0)
		say_kernel(how, s);
	return rc < 0 ? rc : armed(a, &r, n, sites, reterr);
}
