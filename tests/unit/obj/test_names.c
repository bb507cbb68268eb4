/* SPDX-License-Identifier: MIT */
#include "../tap.h"
#include "obj/obj.h"

static void globs(void)
{
	static const struct {
		const char *pattern, *name;
		bool hit;
	} t[] = {
		{ "*", "", true }, { "*", "abc", true }, { "a*c", "abbbc", true }, { "a*c", "abbbd", false },
		{ "?", "", false }, { "?", "a", true }, { "??", "a", false }, { "a?c", "abc", true },
		{ "[abc]x", "bx", true }, { "[abc]x", "dx", false }, { "[!abc]x", "dx", true }, { "[!abc]x", "ax", false },
		{ "[a-f]", "e", true }, { "[a-f]", "g", false }, { "[]]", "]", true }, { "[!]]", "]", false },
		{ "a\\*b", "a*b", true }, { "a\\*b", "axb", false }, { "[", "[", true }, { "*foo*", "xfooy", true },
		{ "*a*b*c", "aabbcc", true }, { "*a*b*c", "aabbccd", false }, { "", "", true }, { "", "a", false },
		{ "abc", "abc", true }, { "abc", "abcd", false }, { "abcd", "abc", false }, { "a**", "a", true },
		{ "**a", "ba", true }, { "[a-]", "-", true },
	};
	for (size_t i = 0; i < ARRAY_CNT(t); i++)
		CHECK_MSG(obj_glob(t[i].pattern, t[i].name) == t[i].hit, "%s and %s", t[i].pattern, t[i].name);
}

static void is_glob(void)
{
	CHECK(obj_is_glob("a*") && obj_is_glob("?") && obj_is_glob("[a]") && obj_is_glob("\\a"));
	CHECK(!obj_is_glob("") && !obj_is_glob("std::f(int)"));
}

static void demangle(void)
{
	static const char *const t[][2] = {
		{ "_ZN6shapes4areaEic", "shapes::area(int, char)" },
		{ "_ZSt9terminatev", "std::terminate()" },
		{ "_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write" },
		{ "_RNvC6_123foo3bar", "123foo::bar" },
		{ "main", NULL }, { "_start", NULL }, { "_Zzz", NULL },
	};
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		char *s = obj_demangle(t[i][0]);
		if (t[i][1])
			CHECK_STR(s, t[i][1]);
		else
			CHECK_MSG(!s, "%s became %s", t[i][0], s);
		free(s);
	}
}

static void matching(void)
{
	static const struct {
		const char *pattern, *mangled;
		bool hit;
	} t[] = {
		{ "malloc", "malloc", true }, { "mall*", "malloc", true }, { "mall", "malloc", false },
		{ "_ZN6shapes4areaEic", "_ZN6shapes4areaEic", true }, { "shapes::area", "_ZN6shapes4areaEic", true },
		{ "shapes::area(int, char)", "_ZN6shapes4areaEic", true },
		{ "shapes::area(int,char)", "_ZN6shapes4areaEic", true },
		{ "shapes::area(int)", "_ZN6shapes4areaEic", false }, { "shapes::*", "_ZN6shapes4areaEic", true },
		{ "*area*", "_ZN6shapes4areaEic", true }, { "*ares*", "_ZN6shapes4areaEic", false },
		{ "std::terminate*", "_ZSt9terminatev", true }, { "std*", "_ZSt9terminatev", true },
		{ "shapes::box<int>::get", "_ZN6shapes3boxIiE3getEi", true },
		{ "*box<int>*get(int)", "_ZN6shapes3boxIiE3getEi", true },
		{ "*operator+*", "_ZN1aplEi", true }, { "core::fmt::write", "_ZN4core3fmt5write17h0123456789abcdefE", true },
		{ "*[Aa]rea*", "_ZN6shapes4areaEic", true }, { "void f<int>(int)", "_Z1fIiEvT_", true },
		{ "f<int>(int)", "_Z1fIiEvT_", true }, { "f<int>", "_Z1fIiEvT_", true },
		{ "*basic_string*", "_ZNSs6appendEPKc", false }, { "std::string::append", "_ZNSs6appendEPKc", true },
	};
	for (size_t i = 0; i < ARRAY_CNT(t); i++)
		CHECK_MSG(obj_name_matches(t[i].pattern, t[i].mangled) == t[i].hit, "%s and %s", t[i].pattern, t[i].mangled);
}

TAP_MAIN(TEST(globs), TEST(is_glob), TEST(demangle), TEST(matching))
