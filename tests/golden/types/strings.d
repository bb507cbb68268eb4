BEGIN
{
	a = "x" < "y"; a = execname == "sh"; b = 1 ? "p" : probefunc; b = strjoin(b, "q");
	c = b[1]; c = *b; c = strlen(b) + index(b, "x"); b = (string)arg0; b = stringof((char *)arg1);
	b = substr(lltostr(12), 1); c = strtoll("12", 8); b = 0; a = b == NULL;
}
