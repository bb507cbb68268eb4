BEGIN
{
	c = (char)1; s = (short)2; i = 3; u = 4u; l = 5L; ul = 6UL; ll = 7LL;
	a = c + s; a = i + u; a = u + l; a = l + ul; a = ul + ll; a = c << l; a = i >> ul;
	a = c < u; a = i == ul; a = -u; a = ~s; a = !l;
	a = i ? u : l; a = (i, l);
	a = (unsigned char)300; a = (signed char)200; a = (uint16_t)-1; a = (_Bool)5;
	a += l; a <<= u; a /= 2u;
}
