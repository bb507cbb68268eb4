pid$target:libc.so*:read:entry { self->t = timestamp; }
pid$target:libc.so*:read:return /self->t/ { @ns["read"] = quantize(timestamp - self->t); self->t = 0; }
