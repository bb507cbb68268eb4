// SPDX-License-Identifier: MIT
// Exceptions, virtual calls, templates of the C++ library, for live.py.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct shape {
	virtual ~shape() {}
	virtual double area() const = 0;
};
struct square : shape {
	double a;
	explicit square(double x) : a(x) {}
	double area() const override { return a * a; }
};
struct circle : shape {
	double r;
	explicit circle(double x) : r(x) {}
	double area() const override { return 3.0 * r * r; }
};

struct noisy {
	int v;
	explicit noisy(int x) : v(x) {}
	~noisy() { std::cout << '~' << v; }
};

static int thrower(int n)
{
	noisy d(n);
	if (n == 0)
		throw std::runtime_error("bottom");
	try {
		return thrower(n - 1) + 1;
	} catch (const std::logic_error &) {
		return 1;
	}
}

int main()
{
	std::vector<std::unique_ptr<shape>> shapes;
	for (int i = 0; i < 20; i++)
		if (i % 2)
			shapes.emplace_back(new square(i));
		else
			shapes.emplace_back(new circle(i));
	double sum = 0;
	for (const auto &s : shapes)
		sum += s->area();
	std::map<std::string, int> m;
	for (int i = 0; i < 500; i++)
		m[std::to_string(i * 7919 % 101)] += i;
	std::cout << sum << ' ' << m.begin()->first << ' ' << m.size() << '\n';
	for (int i = 0; i < 5; i++)
		try {
			thrower(i);
		} catch (const std::exception &e) {
			std::cout << ' ' << e.what() << '\n';
		}
	try {
		std::vector<int>().at(3);
	} catch (const std::out_of_range &) {
		std::cout << "out of range\n";
	}
	try {
		try {
			throw 1;
		} catch (...) {
			throw;
		}
	} catch (int i) {
		std::cout << i << '\n';
	}
	std::ostringstream o;
	o << 1.5 << std::hex << 255;
	std::cout << o.str() << '\n';
}
