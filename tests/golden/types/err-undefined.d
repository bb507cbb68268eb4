BEGIN { trace(x); trace(self->y); trace(this->z); foo(1); trace(strlen); a = b + 1; a = 2; trace(vmlinux`x); }
BEGIN /nope/ { }
