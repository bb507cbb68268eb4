/* SPDX-License-Identifier: MIT */
/* Names as people write them: demangling, globs, and matching of the two. */
#include "obj/obj_int.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

#define STYLE (DMGL_ANSI | DMGL_AUTO)

static bool looks_mangled(const char *s)
{
	if (!strncmp(s, "_GLOBAL__", 9))
		return true;
	return s[0] == '_' && (s[1] == 'Z' || s[1] == 'R' || !strncmp(s + 1, "__Z", 3));
}

char *obj_demangle(const char *mangled)
{
	return looks_mangled(mangled) ? cplus_demangle(mangled, STYLE | DMGL_PARAMS) : NULL;
}

/* ---- globs ---- */

static const char *glob_class(const char *p, char c, bool *ret)
{
	bool neg = *p == '!' || *p == '^', hit = false;
	p += neg;
	for (bool first = true; *p && (*p != ']' || first); first = false) {
		char lo = *p == '\\' && p[1] ? *++p : *p, hi = lo;
		if (p[1] == '-' && p[2] && p[2] != ']') {
			p += 2;
			hi = *p == '\\' && p[1] ? *++p : *p;
		}
		hit |= c >= lo && c <= hi;
		p++;
	}
	*ret = hit != neg;
	return *p ? p + 1 : NULL;
}

/* One element of the pattern against one character; NULL: no match. */
static const char *glob_one(const char *p, char c)
{
	bool hit;
	switch (*p) {
	case '?':
		return p + 1;
	case '[': {
		const char *next = glob_class(p + 1, c, &hit);
		if (next)
			return hit ? next : NULL;
		return c == '[' ? p + 1 : NULL; /* not closed: an ordinary character */
	}
	case '\\':
		p += p[1] != 0;
		break;
	}
	return *p == c ? p + 1 : NULL;
}

bool obj_glob(const char *p, const char *s)
{
	const char *star = NULL, *from = NULL;
	while (*s) {
		if (*p == '*') {
			star = ++p;
			from = s;
			continue;
		}
		const char *next = *p ? glob_one(p, *s) : NULL;
		if (next) {
			p = next;
			s++;
		} else if (star) {
			p = star;
			s = ++from;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return !*p;
}

bool obj_is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[\\") != NULL;
}

/* ---- names ---- */

/* "f(int, char)" and "f(int,char)" are the same name. */
static void drop_spaces(char *s)
{
	char *to = s;
	for (; *s; s++)
		if (*s != ' ' || to[-1] != ',')
			*to++ = *s;
	*to = 0;
}

static bool matches_form(const char *pattern, const char *mangled, int opts)
{
	char *plain = cplus_demangle(mangled, STYLE | opts);
	if (!plain)
		return false;
	bool hit = obj_glob(pattern, plain);
	if (!hit && strchr(plain, ' ') && *plain != ' ') {
		drop_spaces(plain);
		hit = obj_glob(pattern, plain);
	}
	free(plain);
	return hit;
}

/* Words that a demangled name may have and the mangled one has in another form. */
static const char *const made_words[] = {
	"std", "allocator", "basic_string", "string", "char_traits", "basic_istream", "basic_ostream",
	"basic_iostream", "istream", "ostream", "iostream", "operator", "delete", "new", "co_await",
	"unsigned", "signed", "char8_t", "char16_t", "char32_t", "wchar_t", "short", "long", "bool", "float",
	"double", "void", "__int128", "__float128", "decimal32", "decimal64", "decimal128", "_Float",
	"decltype", "nullptr_t", "auto", "const", "volatile", "restrict", "__restrict", "_Complex",
	"_Imaginary", "anonymous", "namespace", "lambda", "unnamed", "type", "clone", "guard", "variable",
	"reference", "temporary", "virtual", "thunk", "covariant", "return", "typeinfo", "vtable", "construction",
	"typename", "template", "parameter", "initializer", "sizeof", "alignof", "noexcept", "throw", "typeid",
	"dynamic_cast", "static_cast", "reinterpret_cast", "const_cast", "transaction", "enable_if", "true",
	"false", "global", "constructors", "destructors", "keyed", "closure", "unsafe", "extern", "usize",
	"isize", "u128", "i128", "unnamed type",
};

static bool may_be_made(const char *run, size_t n)
{
	for (size_t i = 0; i < ARRAY_CNT(made_words); i++)
		if (strlen(made_words[i]) >= n && memmem(made_words[i], strlen(made_words[i]), run, n))
			return true;
	return false;
}

/* One pattern is asked about for all names of a module. */
static bool is_made(const char *run, size_t n)
{
	static _Thread_local struct {
		char run[32];
		size_t n;
		bool made;
	} last;
	if (n > sizeof(last.run))
		return may_be_made(run, n);
	if (n != last.n || memcmp(run, last.run, n)) {
		memcpy(last.run, run, n);
		last.n = n;
		last.made = may_be_made(run, n);
	}
	return last.made;
}

/* Demangling is dear, so first: source names stand in a mangled name as they
 * are, so a word of the pattern that is none of the demangler's own must be in
 * it. */
static bool can_match(const char *pattern, const char *mangled)
{
	const char *p = pattern;
	while (*p) {
		if (*p == '[' || *p == '\\')
			return true;
		size_t n = 0;
		while (isalnum((unsigned char)p[n]) || p[n] == '_')
			n++;
		if (n >= 4 && isalpha((unsigned char)*p) && !memmem(mangled, strlen(mangled), p, n) && !is_made(p, n))
			return false;
		p += n ? n : 1;
	}
	return true;
}

bool obj_name_matches(const char *pattern, const char *mangled)
{
	if (obj_glob(pattern, mangled))
		return true;
	if (!looks_mangled(mangled) || !can_match(pattern, mangled))
		return false;
	return matches_form(pattern, mangled, 0) || matches_form(pattern, mangled, DMGL_PARAMS) ||
	       matches_form(pattern, mangled, DMGL_PARAMS | DMGL_RET_DROP);
}
