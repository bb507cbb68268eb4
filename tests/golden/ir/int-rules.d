int i; unsigned int u; char c; long l; unsigned long ul; _Bool b; short s;
BEGIN
{
	i = i + 1; u = u * 2; c = c - 1; l = i; ul = u; i = l; u = -1; c = u; b = l; s = i;
	l = i / s; ul = u / 3u; l = i % 5; ul = ul % 7; l = i >> 3; ul = u >> 3; l = i << 31; u <<= 4;
	i = i < u; i = l <= i; i = ul > 5; i = c >= 'a'; i = -c; u = ~u; i = !l;
	l = (char)l; ul = (uint32_t)l; i += l; c++; --s; u--; i = c ? u : i; l = (short)c + (uint8_t)s;
}
