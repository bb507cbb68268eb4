struct s { char c; int i; long l[2]; };
struct s g; self struct s t; this struct s h; int arr[3];
BEGIN { g.i = 1; self->t.l[1] = g.i; this->h.c = 2; arr[2] = this->h.c + g.l[0]; arr[0] = sizeof (g); }
