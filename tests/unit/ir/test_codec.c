/* SPDX-License-Identifier: MIT */
/* Images as bytes: there and back, and what must not be let in. */
#include "make.h"

static char *image_text(const struct ir_image *img)
{
	char *s = NULL;
	size_t n;
	FILE *f = open_memstream(&s, &n);
	ir_image_print(f, img);
	fclose(f);
	return s;
}

/* An image with something of everything; the caller frees both. */
static void encode_sample(uint8_t **ret_bytes, size_t *ret_cnt, char **ret_text)
{
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, INT64_MIN), key = ir_scratch(m.b, 16);
	CALL(&m, tuple_begin, NO, key, 8);
	ir_emit(m.b, IR_OP_AGG, NO, v, v, 1, (uint16_t)key);
	ret(&m);
	make_finish(&m);
	m.img.strs = NULL;
	ir_image_intern(&m.img, "a \"string\"\n", 11);
	CHECK_EQ(ir_image_encode(&m.img, ret_bytes, ret_cnt, NULL), 0);
	*ret_text = image_text(&m.img);
	free(m.img.strs);
	make_deinit(&m);
}

static void there_and_back(void)
{
	uint8_t *bytes, *again;
	size_t cnt, cnt2;
	char *text;
	encode_sample(&bytes, &cnt, &text);
	struct ir_image img;
	struct err err = { 0 };
	CHECK_MSG(ir_image_decode(bytes, cnt, &img, &err) == 0, "%s", err.msg);
	char *text2 = image_text(&img);
	CHECK_STR(text2, text);
	CHECK(strstr(text, "string 8: \"a \\\"string\\\"\\x0a\"\n"));
	CHECK(strstr(text, "agg @1: quantize, words 127\n"));
	CHECK_EQ(ir_image_encode(&img, &again, &cnt2, NULL), 0);
	CHECK(cnt2 == cnt && !memcmp(again, bytes, cnt));
	ir_image_deinit(&img);
	free(again);
	free(text2);
	free(text);
	free(bytes);
}

/* Little-endian, by hand. */
static void known_bytes(void)
{
	struct ir_insn insn = { .op = IR_OP_RET, .dst = NO };
	struct ir_prog prog = { .insns = &insn, .insn_cnt = 1, .vreg_cnt = 0x102 };
	struct ir_image img = { .progs = &prog, .prog_cnt = 1, .strsize = 256 };
	uint8_t *bytes;
	size_t cnt;
	CHECK_EQ(ir_image_encode(&img, &bytes, &cnt, NULL), 0);
	CHECK_EQ(cnt, 40 + 24 + 24);
	CHECK(!memcmp(bytes, "DYIR\1\0\0\0\1\0\0\0", 12));
	CHECK(bytes[33] == 1 && bytes[44] == 2 && bytes[45] == 1 && bytes[64] == IR_OP_RET && bytes[68] == 255);
	free(bytes);
}

static void every_prefix_is_refused(void)
{
	uint8_t *bytes;
	size_t cnt;
	char *text;
	encode_sample(&bytes, &cnt, &text);
	for (size_t n = 0; n < cnt; n++) {
		uint8_t *cut = malloc(n ? n : 1);
		memcpy(cut, bytes, n);
		struct ir_image img = { .strsize = 77 };
		CHECK_EQ(ir_image_decode(cut, n, &img, NULL), -22);
		CHECK_EQ(img.strsize, 77); /* untouched */
		free(cut);
	}
	uint8_t *longer = calloc(1, cnt + 1);
	memcpy(longer, bytes, cnt);
	struct err err = { 0 };
	struct ir_image img;
	CHECK_EQ(ir_image_decode(longer, cnt + 1, &img, &err), -22);
	CHECK(strstr(err.msg, "longer than it says"));
	free(longer);
	free(text);
	free(bytes);
}

/* Sets the 32-bit word at @at to @v, which must be refused with @want. */
static void word_refused(size_t at, uint32_t v, const char *want)
{
	uint8_t *bytes;
	size_t cnt;
	char *text;
	encode_sample(&bytes, &cnt, &text);
	memcpy(bytes + at, &v, 4);
	struct ir_image img;
	struct err err = { 0 };
	int r = ir_image_decode(bytes, cnt, &img, &err);
	CHECK_EQ(r, -22);
	CHECK_MSG(r < 0 && strstr(err.msg, want), "\"%s\" does not say \"%s\"", err.msg, want);
	free(text);
	free(bytes);
}

static void heads(void)
{
	word_refused(0, 0, "no IR image");
	word_refused(4, 2, "version 2");
	word_refused(8, UINT32_MAX, "clauses");
	word_refused(8, 2, "cut short");
	word_refused(12, UINT32_MAX, "aggregations");
	word_refused(12, 4000, "cut short");
	word_refused(36, 1 << 20, "cut short");
	word_refused(36, UINT32_MAX, "strings");
	word_refused(32, 0, "strsize");
}

static void counts_of_programs(void)
{
	size_t prog = 40 + 24 + 2 * 48;
	word_refused(prog, 9, "clause 9");
	word_refused(prog + 16, UINT32_MAX, "cut short");
	word_refused(prog + 16, 0, "cut short");
	word_refused(prog + 20, UINT32_MAX, "cut short");
	word_refused(prog + 20, 1, "cut short");
	word_refused(prog + 8, UINT32_MAX, "scratch");
}

TAP_MAIN(TEST(there_and_back), TEST(known_bytes), TEST(every_prefix_is_refused), TEST(heads), TEST(counts_of_programs))
