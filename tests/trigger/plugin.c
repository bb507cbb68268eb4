/* SPDX-License-Identifier: MIT */
/* A library that `calls` loads with dlopen. */
long plugin_init_step(long a);
long plugin_work(long a);

static long from_constructor;

__attribute__((noinline, noclone)) long plugin_init_step(long a)
{
	__asm__ volatile("");
	return a + 1;
}

__attribute__((constructor)) static void init(void)
{
	from_constructor = plugin_init_step(6);
}

__attribute__((visibility("default"))) long plugin_work(long a)
{
	return a + from_constructor;
}
