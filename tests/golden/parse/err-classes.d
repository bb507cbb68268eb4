inline static int one = 1;
inline self int two = 2;
static inline int three = 3;
typedef int num;
int num four;
int five six;
BEGIN { 5(1); }
