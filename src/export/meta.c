/* SPDX-License-Identifier: MIT */
/*
 * The metadata's text (CTF 1.8.3, appendix C), in the form that schema.c reads
 * back.  Names of fields have a "_" before them, which readers take off: so
 * they are never keywords.
 */
#include "export/export_int.h"

#include <string.h>
#include <sys/utsname.h>

/* ORDER enum export_type */
const char *const ctf_type_name[EXPORT_TYPE_CNT] = {
	"i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "hex", "f32", "f64", "str", "stack",
};
const uint8_t ctf_type_bytes[EXPORT_TYPE_CNT] = { 1, 2, 4, 8, 1, 2, 4, 8, 8, 4, 8, 0, 0 };

static void put_escaped(FILE *fp, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', fp);
		putc((unsigned char)*s < ' ' ? ' ' : *s, fp);
	}
}

static void put_quoted(FILE *fp, const char *s)
{
	putc('"', fp);
	put_escaped(fp, s);
	putc('"', fp);
}

static void put_uuid(FILE *fp, const uint8_t u[16])
{
	for (int i = 0; i < 16; i++)
		fprintf(fp, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
}

static void put_types(FILE *fp)
{
	for (int t = EXPORT_I8; t <= EXPORT_HEX; t++)
		fprintf(fp, "typealias integer { size = %d; align = 8; signed = %s; base = %d; } := %s;\n",
			ctf_type_bytes[t] * 8, t <= EXPORT_I64 ? "true" : "false", t == EXPORT_HEX ? 16 : 10, ctf_type_name[t]);
	fputs("typealias integer { size = 32; align = 8; signed = false; } := length;\n"
	      "typealias integer { size = 64; align = 8; signed = false; map = clock.monotonic.value; } := time;\n"
	      "typealias integer { size = 27; align = 1; signed = false; map = clock.monotonic.value; } := short_time;\n"
	      "typealias floating_point { exp_dig = 8; mant_dig = 24; align = 8; } := f32;\n"
	      "typealias floating_point { exp_dig = 11; mant_dig = 53; align = 8; } := f64;\n"
	      "typealias string { encoding = UTF8; } := str;\n\n", fp);
}

static void put_trace(FILE *fp, const uint8_t uuid[16])
{
	fputs("trace {\n\tmajor = 1;\n\tminor = 8;\n\tuuid = \"", fp);
	put_uuid(fp, uuid);
	fputs("\";\n\tbyte_order = le;\n"
	      "\tpacket.header := struct {\n"
	      "\t\tu32 magic;\n\t\tu8 uuid[16];\n\t\tu32 stream_id;\n\t\tu64 stream_instance_id;\n\t};\n};\n\n", fp);
}

static void put_env(FILE *fp, const struct export_writer_opts *o)
{
	struct utsname u;
	memset(&u, 0, sizeof(u));
	uname(&u);
	fputs("env {\n\thostname = ", fp);
	put_quoted(fp, u.nodename);
	fputs(";\n\tdomain = \"ust\";\n\ttracer_name = \"dyntrace\";\n\ttracer_version = ", fp);
	put_quoted(fp, DYNTRACE_VERSION);
	fputs(";\n\trelease = ", fp);
	put_quoted(fp, u.release);
	fputs(";\n\tcommand = ", fp);
	put_quoted(fp, o->command ? o->command : "");
	fputs(";\n", fp);
	if (o->budget)
		ctf_meta_budget(fp, o->budget);
	fputs("};\n\n", fp);
}

/* Where the clock's zero is: whole seconds, then what is left. */
static void put_clock(FILE *fp, int64_t off_ns)
{
	int64_t s = off_ns / 1000000000, ns = off_ns % 1000000000;
	if (ns < 0) {
		ns += 1000000000;
		s--;
	}
	fprintf(fp, "clock {\n\tname = monotonic;\n\tdescription = \"CLOCK_MONOTONIC; the offset makes it CLOCK_REALTIME\";\n"
		"\tfreq = 1000000000;\n\tprecision = 0;\n\toffset_s = %lld;\n\toffset = %lld;\n\tabsolute = true;\n};\n\n",
		(long long)s, (long long)ns);
}

#define WHO "\t\ti32 _pid;\n\t\ti32 _tid;\n\t\tstr _procname;\n"

static void put_stream(FILE *fp, enum ctf_stream id)
{
	fprintf(fp, "stream {\n\tid = %d;\n"
		"\tpacket.context := struct {\n"
		"\t\ttime timestamp_begin;\n\t\ttime timestamp_end;\n\t\tu64 content_size;\n\t\tu64 packet_size;\n"
		"\t\tu64 packet_seq_num;\n\t\tu64 events_discarded;\n\t\tu32 cpu_id;\n%s\t};\n"
		"\tevent.header := struct {\n"
		"\t\tenum : integer { size = 5; align = 1; signed = false; } { near = 0 ... 29, mid = 30, far = 31 } id;\n"
		"\t\tvariant <id> {\n"
		"\t\t\tstruct { short_time timestamp; } near;\n"
		"\t\t\tstruct { integer { size = 16; align = 1; signed = false; } id; short_time timestamp; } mid;\n"
		"\t\t\tstruct { u32 id; time timestamp; } far;\n"
		"\t\t} v;\n\t} align(8);\n", id, id == CTF_ONE ? WHO : "");
	if (id == CTF_MANY)
		fputs("\tevent.context := struct {\n" WHO "\t};\n", fp);
	fputs("};\n\n", fp);
}

void ctf_meta_head(FILE *fp, const uint8_t uuid[16], const struct export_writer_opts *o)
{
	fputs("/* CTF 1.8 */\n\n", fp);
	put_types(fp);
	put_trace(fp, uuid);
	put_env(fp, o);
	put_clock(fp, o->real_offset_ns);
	put_stream(fp, CTF_MANY);
	put_stream(fp, CTF_ONE);
}

void ctf_meta_class(FILE *fp, const struct export_class *c, uint32_t id)
{
	const char *const parts[] = { c->prov, c->mod, c->func, c->name };
	bool named = !*c->prov && !*c->mod && !*c->func;
	fputs("event {\n\tname = \"", fp);
	for (size_t i = named ? ARRAY_CNT(parts) - 1 : 0; i < ARRAY_CNT(parts); i++) {
		fputs(i && !named ? ":" : "", fp);
		put_escaped(fp, parts[i]);
	}
	fprintf(fp, "\";" CTF_META_ID "%u;" CTF_META_STREAM "0;" CTF_META_FIELDS "struct {\n", id);
	for (uint32_t i = 0; i < c->field_cnt; i++) {
		const struct export_field *f = &c->fields[i];
		if (f->type == EXPORT_STACK)
			fprintf(fp, "\t\tlength __%s_length;\n\t\thex _%s[ __%s_length ];\n", f->name, f->name, f->name);
		else
			fprintf(fp, "\t\t%s _%s;\n", ctf_type_name[f->type], f->name);
	}
	fputs("\t};\n};\n\n", fp);
}
