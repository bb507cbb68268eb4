/* SPDX-License-Identifier: MIT */
/*
 * Sizes of buffers that cannot be had: lowered, and it is said how far; with
 * -x bufresize=manual that is an error (DTrace guide, "Buffer Resizing Policy").
 * As with dtrace, one or the other is said after what the script matched.
 */
#include "cli/cli_int.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LEAST_BYTES 4096u
#define AREA_MAX (1ULL << 36) /* of aggregations and variables; see wire_layout() */
#define RING_MAX (1ULL << 30)

static uint64_t memory_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : AREA_MAX;
}

/* ORDER the fields of cli_buffers, as dtrace names and orders them */
static const char *const names[CLI_BUFFER_CNT] = {
	"buffer size", "aggregation size", "speculation size", "dynamic variable size",
};

static uint64_t *size_of(struct session_opts *so, uint32_t i)
{
	uint64_t *const sizes[CLI_BUFFER_CNT] = { &so->ring_bytes, &so->agg_bytes, &so->spec_bytes, &so->dyn_bytes };
	return sizes[i];
}

/* Shared memory is sparse, so nothing refuses what the machine does not have. */
void cli_buffers_fit(struct cli *cli, struct session_opts *so)
{
	uint64_t memory = memory_bytes();
	for (uint32_t i = 0; i < CLI_BUFFER_CNT; i++) {
		uint64_t *size = size_of(so, i), max = i ? AREA_MAX : RING_MAX, most = memory < max ? memory : max;
		cli->buffers[i].asked = *size;
		if (*size <= most)
			continue;
		while (*size > max || *size > memory / 16)
			*size /= 2;
	}
}

bool cli_buffers_halve(struct session_opts *so)
{
	uint64_t *largest = &so->ring_bytes;
	if (so->agg_bytes > *largest)
		largest = &so->agg_bytes;
	if (so->dyn_bytes > *largest)
		largest = &so->dyn_bytes;
	if (*largest <= LEAST_BYTES)
		return false;
	*largest /= 2;
	return true;
}

void cli_buffers_note(struct cli *cli, struct session_opts *so)
{
	for (uint32_t i = 0; i < CLI_BUFFER_CNT; i++)
		cli->buffers[i].has = *size_of(so, i);
}

const char *cli_size_text(uint64_t bytes, char buf[CLI_SIZE_MAX])
{
	static const char units[][2] = { "", "k", "m", "g", "t" };
	uint32_t u = 0;
	while (u < ARRAY_CNT(units) - 1 && bytes >> 10 * (u + 1))
		u++;
	if (bytes & ((1ULL << 10 * u) - 1))
		u = 0;
	snprintf(buf, CLI_SIZE_MAX, "%llu%s", (unsigned long long)bytes >> 10 * u, units[u]);
	return buf;
}

static void tell_lowered(const char *name, uint64_t bytes)
{
	char text[CLI_SIZE_MAX];
	cli_size_text(bytes, text);
	cli_error("%s lowered to %s%s", name, text, isdigit((unsigned char)text[strlen(text) - 1]) ? " bytes" : "");
}

static uint64_t rounded(uint64_t bytes)
{
	uint64_t p = LEAST_BYTES;
	while (p < bytes && p >> 62 == 0)
		p <<= 1;
	return p;
}

/* dtrace says so on its own, whatever -x quietresize is. */
static void tell_increased(const struct cli *cli)
{
	const struct cli_options *o = &cli->args.opts;
	if (cli_is_dtrace() && !cli_bufpolicy(cli) && rounded(o->bufsize) > o->bufsize)
		fprintf(stderr, "bufsize increased to %llu\n", (unsigned long long)rounded(o->bufsize));
}

int cli_buffers_tell(const struct cli *cli)
{
	const struct cli_options *o = &cli->args.opts;
	bool is_lowered[CLI_BUFFER_CNT], any = false, is_manual = o->bufresize == 2;
	for (uint32_t i = 0; i < CLI_BUFFER_CNT; i++)
		any |= is_lowered[i] = cli->buffers[i].has < cli->buffers[i].asked;
	if (!is_lowered[0] || is_manual)
		tell_increased(cli);
	if (any && is_manual) {
		cli_error("could not enable tracing: Memory allocation failure");
		return CLI_ERROR;
	}
	for (uint32_t i = 0; i < CLI_BUFFER_CNT && !o->quietresize; i++)
		if (is_lowered[i])
			tell_lowered(names[i], cli->buffers[i].has);
	return CLI_OK;
}
