/* SPDX-License-Identifier: MIT */
/* Instruction boundaries, for offset probes. */
#include "isa/isa.h"
#include "probe/probe_int.h"

#include <errno.h>
#include <stdlib.h>

#define CODE_MAX (16u << 20)

static int decode(const uint8_t *code, uint32_t bytes, uint64_t addr, uint32_t **ret, uint32_t *ret_cnt)
{
	uint32_t *v = malloc((bytes + 1ULL) * sizeof(*v)), cnt = 0;
	if (!v)
		return -ENOMEM;
	for (uint32_t off = 0; off < bytes;) {
		struct isa_insn in;
		if (isa_decode(code + off, bytes - off, addr + off, &in) || !in.len)
			break;
		v[cnt++] = off;
		off += in.len;
	}
	*ret = v;
	*ret_cnt = cnt;
	return 0;
}

int pid_insn_offsets(struct obj_proc *proc, struct obj_module *mod, uint64_t addr, uint64_t bytes, uint32_t **ret,
		     uint32_t *ret_cnt)
{
	if (bytes > CODE_MAX)
		return -EFBIG;
	uint8_t *code = malloc(bytes + 1);
	if (!code)
		return -ENOMEM;
	/* The file and not the memory: probes may stand in it already. */
	int rc = obj_module_text(proc, mod, addr, code, bytes);
	if (!rc)
		rc = decode(code, (uint32_t)bytes, addr, ret, ret_cnt);
	free(code);
	return rc;
}
