/* SPDX-License-Identifier: MIT */
/* -d: what the compiler made, stage by stage. */
#include "cli/cli_int.h"

int cli_dump(struct cli *cli)
{
	unsigned d = cli->args.dumps;
	if (d & DUMP_AST)
		d_dump_ast(cli->d, cli->out);
	if (d & DUMP_TYPES)
		d_dump_types(cli->d, cli->out);
	if (d & DUMP_IR)
		ir_image_print(cli->out, &cli->prog.image);
	if (d & DUMP_JIT) {
		cli_error("-d jit: not without a session");
		return CLI_ERROR;
	}
	return CLI_OK;
}
