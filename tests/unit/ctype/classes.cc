// SPDX-License-Identifier: MIT
namespace geo {
struct Shape {
	virtual ~Shape() {}
	int id = 3;
};
struct Label {
	const char *text = "text";
};
enum class Mode : unsigned char { Off, On = 200 };
struct Circle : Shape, Label {
	double radius = 1.5;
	Mode mode = Mode::On;
	struct Inner {
		short depth;
	} inner{ 7 };
	static int made;
	__attribute__((noinline)) int area(int k) const;
};
int Circle::made = 77;
__attribute__((noinline)) int Circle::area(int k) const
{
	__asm__ volatile("" ::: "memory");
	return k + id;
}
struct Owner { // not trivial: passed as an address
	int *p;
	Owner(int *q) : p(q) {}
	Owner(const Owner &o) : p(o.p) {}
	~Owner() { p = nullptr; }
};
struct Pair { // trivial
	int a, b;
};
__attribute__((noinline)) int by_ref(const Circle &c, Owner o, Pair p, int n)
{
	__asm__ volatile("" ::: "memory");
	return c.inner.depth + *o.p + p.a + n;
}
}

volatile int seven = 7;
int main()
{
	geo::Circle c;
	int v = seven;
	return c.area(v) + geo::by_ref(c, geo::Owner(&v), geo::Pair{ 1, 2 }, 5) + geo::Circle::made;
}
