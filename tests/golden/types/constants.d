enum e { A = -1, B };
inline long K = 1 << 31;
BEGIN
{
	trace(1 + 2 * 3); trace(-1 / 2u); trace(-7 % 3); trace(7 / -2); trace(1 << 33); trace(1L << 33);
	trace(0x80000000); trace(2147483648); trace(-2147483647 - 1); trace((char)0x1ff);
	trace(A + B); trace(K); trace(sizeof (int[7])); trace(sizeof ("x")); trace(1 < 2u && 3);
	trace(-1 > 0u); trace((unsigned)-1 >> 28); trace(-16 >> 2); trace('a' + 1);
}
