/* SPDX-License-Identifier: MIT */
/* Text that a program wrote, in quotes. */
#include "export/export.h"

#include "host/utf8.h"

static void put_bytes(FILE *fp, const uint8_t *s, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(fp, "\\%03o", s[i]);
}

static void put_number(FILE *fp, const uint8_t *s, uint32_t cnt)
{
	fprintf(fp, "\\u%04x", s[cnt - 1]); /* of U+0080 to U+009F the last byte is the number, too */
}

void export_print_text(FILE *fp, const char *text, size_t bytes, bool json)
{
	const uint8_t *s = (const uint8_t *)text;
	putc('"', fp);
	for (size_t i = 0; i < bytes;) {
		uint32_t n = host_utf8_len(s + i, bytes - i), cnt = n ? n : 1;
		if (s[i] == '"' || s[i] == '\\')
			fprintf(fp, "\\%c", s[i]);
		else if (s[i] == '\n' || s[i] == '\t')
			fputs(s[i] == '\n' ? "\\n" : "\\t", fp);
		else if (!n || host_utf8_is_control(s + i))
			(json ? put_number : put_bytes)(fp, s + i, cnt);
		else
			fwrite(s + i, 1, n, fp);
		i += cnt;
	}
	putc('"', fp);
}
