/* SPDX-License-Identifier: MIT */
/*
 * What LTTng's macros make of a declared event, made at run time: a tracepoint, which is what is hit, and a description,
 * which is what sessions find by its name. Both are public structures of lttng-ust (lttng/tracepoint-types.h,
 * lttng/ust-events.h). The fields, and the function that writes them, are those of the declared event of that kind.
 *
 * They stay as long as the program does: a thread may be in one at any time.
 */
#include "tracer/lttng/named.h"

#include <lttng/tracepoint.h>
#include <lttng/ust-events.h>
#include <stdlib.h>
#include <string.h>

#define PROVIDER "dyntrace_lttng"
#define BUCKETS 64u

/* Of tp.h's events, in their order there. */
enum { KIND_POINT, KIND_ENTRY, KIND_EXIT };
extern const struct lttng_ust_probe_desc lttng_ust__probe_desc___dyntrace_lttng;

struct event {
	struct lttng_ust_tracepoint tp;
	struct lttng_ust_event_desc desc;
};
struct named {
	struct named *next;
	char *text;
	struct lttng_ust_probe_desc provider;
	const struct lttng_ust_event_desc *descs[2];
	struct lttng_ust_tracepoint *tps[2];
	struct event v[2];
	unsigned cnt;
};
static struct named *table[BUCKETS];

static unsigned bucket(const char *text)
{
	unsigned h = 5381;
	while (*text)
		h = h * 33 + (unsigned char)*text++;
	return h % BUCKETS;
}

static struct named *find(const char *text)
{
	struct named *n = __atomic_load_n(&table[bucket(text)], __ATOMIC_ACQUIRE);
	while (n && strcmp(n->text, text))
		n = n->next;
	return n;
}

static bool fill(struct named *n, int kind, const char *suffix)
{
	const struct lttng_ust_event_desc *model = lttng_ust__probe_desc___dyntrace_lttng.event_desc[kind];
	struct event *e = &n->v[n->cnt];
	size_t bytes = strlen(n->text + 1) + strlen(suffix) + 1;
	char *name = malloc(bytes);
	if (!name)
		return false;
	strcpy(name, n->text + 1);
	strcat(name, suffix);
	e->desc = *model;
	e->desc.event_name = name;
	e->desc.probe_desc = &n->provider;
	e->tp = (struct lttng_ust_tracepoint){ .struct_size = sizeof(e->tp), .provider_name = PROVIDER, .event_name = name,
					       .signature = model->tp_class->signature };
	n->descs[n->cnt] = &e->desc;
	n->tps[n->cnt++] = &e->tp;
	return true;
}

static bool tell_lttng(struct named *n)
{
	n->provider = lttng_ust__probe_desc___dyntrace_lttng;
	n->provider.event_desc = n->descs;
	n->provider.nr_events = n->cnt;
	return LTTNG_UST_TP_RCU_LINK_TEST() && lttng_ust_tracepoint_dlopen_ptr->lttng_ust_tracepoint_module_register &&
		!lttng_ust_tracepoint_dlopen_ptr->lttng_ust_tracepoint_module_register(n->tps, (int)n->cnt) &&
		lttng_ust_probe_register(&n->provider);
}

/* One that fails stays out of the table: its hits are the usual events. */
void named_make(const char *text)
{
	struct named *n = find(text) ? NULL : calloc(1, sizeof(*n));
	if (!n)
		return;
	n->text = strdup(text);
	bool ok = n->text && (*text == 'E' ? fill(n, KIND_ENTRY, "_entry") && fill(n, KIND_EXIT, "_exit") : fill(n, KIND_POINT, ""));
	if (!ok || !tell_lttng(n))
		return;
	struct named **head = &table[bucket(text)];
	n->next = *head;
	__atomic_store_n(head, n, __ATOMIC_RELEASE);
}

struct lttng_ust_tracepoint *named_find(const char *text, bool exit)
{
	struct named *n = find(text);
	return n ? n->tps[exit && n->cnt > 1] : NULL;
}

void named_emit(struct lttng_ust_tracepoint *tp, uint64_t address, const char *name, const uint64_t *args, uint64_t ret)
{
	typedef void enter_fn(void *, uint64_t, const char *, const uint64_t *);
	typedef void leave_fn(void *, uint64_t, const char *, uint64_t);
	if (!CMM_LOAD_SHARED(tp->state) || !LTTNG_UST_TP_RCU_LINK_TEST())
		return;
	lttng_ust_tp_rcu_read_lock();
	for (struct lttng_ust_tracepoint_probe *p = lttng_ust_tp_rcu_dereference(tp->probes); p && p->func; p++) {
		if (args)
			((enter_fn *)p->func)(p->data, address, name, args);
		else
			((leave_fn *)p->func)(p->data, address, name, ret);
	}
	lttng_ust_tp_rcu_read_unlock();
}
