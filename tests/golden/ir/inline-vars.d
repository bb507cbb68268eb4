self uint64_t start;
inline long since = timestamp - self->start;
BEGIN { trace(since); trace(since / 2); }
