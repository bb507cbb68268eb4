string g; self string s; this string t; string a[int];
BEGIN
{
	g = "x"; self->s = g; this->t = self->s; a[1] = this->t; g = a[2];
	x = g == "y" || self->s < this->t; g = x ? g : "none"; a[1] = 0; g = 0;
	g = strjoin(strjoin("a", "b"), strjoin("c", "d"));
	x = strlen(basename(g)) + index(g, "b") + rindex(g, "b") + g[2] + *g;
	g = substr(g, 1, 2); g = substr(dirname(g), 3); g = lltostr(x); x = strtoll(g); x = strtoll(g, 16);
	g = strchr(g, 'a'); g = strrchr(g, 'b'); g = strstr(g, "c"); g = copyinstr(arg0, 10); g = (string)arg1;
	x = *(g + 1);
}
