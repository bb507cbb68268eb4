/* SPDX-License-Identifier: MIT */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_setf(struct err *reterr, int code, const char *fmt, ...)
{
	if (!reterr)
		return code;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reterr->msg, sizeof(reterr->msg), fmt, ap);
	va_end(ap);
	reterr->code = code;
	return code;
}

int err_prefixf(struct err *reterr, const char *fmt, ...)
{
	if (!reterr)
		return -1;
	char old[ERR_MSG_MAX];
	memcpy(old, reterr->msg, sizeof(old));
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(reterr->msg, sizeof(reterr->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(reterr->msg))
		snprintf(reterr->msg + n, sizeof(reterr->msg) - (size_t)n, ": %s", old);
	return reterr->code;
}
