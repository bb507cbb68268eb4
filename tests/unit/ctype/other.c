/* SPDX-License-Identifier: MIT */
struct hidden {
	int secret;
	struct hidden *self;
};
struct hidden *other(void);
static struct hidden one = { 7, &one };

struct hidden *other(void)
{
	return &one;
}
