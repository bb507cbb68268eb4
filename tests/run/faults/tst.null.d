/* NULL where a string is needed. */
#pragma D option quiet

BEGIN { x = strchr("abc", 'z') == NULL; printf("%d\n", x); }
BEGIN { trace(strlen(NULL)); }
BEGIN { trace(strjoin("a", NULL)); }
BEGIN { trace(strchr("abc", 'z')); }
BEGIN { printf("%s\n", strstr("abc", "x")); }
BEGIN { trace(basename(NULL)); }
BEGIN { trace(strlen("")); s = strrchr("a", 'b'); trace(s); }
/* Variables that are NULL, and their characters. */
string g, array[int];
self string t, u[int];
BEGIN { printf("never set: [%s] %d %d %d %d\n", g, g == NULL, self->t == NULL, array[1] == NULL, self->u[1] == NULL); }
BEGIN { trace(self->t); }
BEGIN { trace(array[1]); }
BEGIN { g = NULL; trace(g[2]); }
BEGIN { this->l = "x"; this->l = NULL; trace(this->l); }
BEGIN { trace(*g); }
BEGIN { trace(g + 3); }
BEGIN { @[g] = count(); }
BEGIN
{
	g = self->t = this->l = array[1] = self->u[1] = "";
	printf("empty: [%s%s%s%s%s] %d\n", g, self->t, this->l, array[1], self->u[1],
	    g == NULL || self->t == NULL || this->l == NULL || array[1] == NULL || self->u[1] == NULL);
	printf("order: %d %d %d\n", g < NULL, NULL < g, (string)NULL == NULL);
	g = self->t = this->l = array[1] = self->u[1] = "abc";
	printf("behind: %s %s %s %s %s [%s] %c\n", g + 1, 2 + self->t, this->l + 1, array[1] + 2, self->u[1] + 0, g + 9, *(g + 1));
	exit(0);
}
ERROR { printf("fault %d %d\n", (int)arg4, (int)arg5); }
