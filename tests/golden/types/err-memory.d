BEGIN
{
	p = (char *)alloca(16);
	bcopy("text", p, 4);
	bcopy(copyin(arg0, 4), &p[4], 4);
	bcopy(arg0, p, 4);
	bcopy(p, (void *)arg0, 4);
	bcopy(p, "text", 4);
	copyinto(arg0, 4, p + 8);
	copyinto(arg0, 4, (void *)arg1);
	copyin("text", 4);
	trace(p - (char *)arg0);
	usym("main");
	mutex_owner((char *)arg0);
	rw_iswriter((char *)arg0);
	trace(basename(copyin(arg0, 8)));
	trace((char *)execname);
}
