// SPDX-License-Identifier: MIT
// Landing pads and names of C++.
#include <string>

namespace shapes {
struct guard {
	std::string *s;
	~guard() { s->clear(); }
};
template <typename T> struct box {
	T v;
	__attribute__((noinline)) T get(int by) { return v + by; }
};
__attribute__((noinline)) void area(int w, char h)
{
	if (w == h)
		throw 1;
}
__attribute__((noinline)) void area(long w)
{
	if (!w)
		throw 2;
}
} // namespace shapes

template struct shapes::box<int>;

extern "C" int throws_entry(int x)
{
	std::string s("abc");
	shapes::guard g{&s};
	try {
		shapes::area(x, 'c');
	} catch (int v) {
		return v;
	}
	return (int)s.size();
}

extern "C" int never_throws(int x) { return x + 1; }
