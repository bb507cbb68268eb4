/* SPDX-License-Identifier: MIT */
/* How long block devices take, from the request to its end. */

io:::start
{
	from[arg0] = timestamp;
}

io:::done
/from[arg0]/
{
	@[args[1]->dev_statname, args[0]->b_flags & B_WRITE ? "write, usecs" : "read, usecs"] =
	    quantize((timestamp - from[arg0]) / 1000);
	from[arg0] = 0;
}
