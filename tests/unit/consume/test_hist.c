/* SPDX-License-Identifier: MIT */
/* Layouts of the three histograms, and stddev's arithmetic. */
#include "fixture.h"

static char text[16384];

#define HEAD "\n           value  ------------- Distribution ------------- count    \n"

static FILE *open_text(void) { return fmemopen(text, sizeof(text), "w"); }

static void quantize(void)
{
	int64_t v[WIRE_QUANTIZE_CNT] = { [WIRE_QUANTIZE_ZERO] = 1, [65] = 2, [66] = 1 };
	FILE *fp = open_text();
	consume_hist_quantize(fp, v, &(struct hist_opts){ .normal = 1 });
	fclose(fp);
	CHECK_STR(text, HEAD
		  "              -1 |                                         0        \n"
		  "               0 |@@@@@@@@@@                               1        \n"
		  "               1 |                                         0        \n"
		  "               2 |@@@@@@@@@@@@@@@@@@@@                     2        \n"
		  "               4 |@@@@@@@@@@                               1        \n"
		  "               8 |                                         0        \n");
}

static void quantize_signs(void)
{
	int64_t v[WIRE_QUANTIZE_CNT] = { [62] = -1, [64] = 3 };
	FILE *fp = open_text();
	consume_hist_quantize(fp, v, &(struct hist_opts){ .normal = 1 });
	fclose(fp);
	CHECK_STR(text, HEAD
		  "              -2                     |                     0        \n"
		  "              -1                @@@@@|                     -1       \n"
		  "               0                     |                     0        \n"
		  "               1                     |@@@@@@@@@@@@@@@      3        \n"
		  "               2                     |                     0        \n");
}

static void quantize_nothing(void)
{
	int64_t v[WIRE_QUANTIZE_CNT] = { 0 };
	FILE *fp = open_text();
	consume_hist_quantize(fp, v, &(struct hist_opts){ .normal = 1 });
	fclose(fp);
	CHECK_STR(text, HEAD
		  "              -1 |                                         0        \n"
		  "               0 |                                         0        \n"
		  "               1 |                                         0        \n");
}

static void quantize_edges(void)
{
	int64_t v[WIRE_QUANTIZE_CNT] = { [0] = 1, [126] = 1 };
	FILE *fp = open_text();
	consume_hist_quantize(fp, v, &(struct hist_opts){ .normal = 1 });
	fclose(fp);
	CHECK(strstr(text, "-4611686018427387904 |@@@@@@@@@@@@@@@@@@@@                     1        \n") != NULL);
	CHECK(strstr(text, "\n4611686018427387904 |@@@@@@@@@@@@@@@@@@@@                     1        \n") != NULL);
}

static void lquantize(void)
{
	struct wire_agg a = { .fn = WIRE_AGG_LQUANTIZE, .base = -10, .limit = 10, .step = 5, .val_cnt = 6 };
	int64_t v[6] = { 1, 0, 0, 0, 2, 1 };
	FILE *fp = open_text();
	consume_hist_lquantize(fp, &a, v, &(struct hist_opts){ .normal = 1 });
	fclose(fp);
	CHECK_STR(text, HEAD
		  "           < -10 |@@@@@@@@@@                               1        \n"
		  "             -10 |                                         0        \n"
		  "              -5 |                                         0        \n"
		  "               0 |                                         0        \n"
		  "               5 |@@@@@@@@@@@@@@@@@@@@                     2        \n"
		  "           >= 10 |@@@@@@@@@@                               1        \n");
	int64_t zero;
	CHECK_EQ(consume_hist_weight(&a, v, &zero), -11 + 10 + 11);
	CHECK_EQ(zero, 0);
}

/* factor 10, powers 0 to 1, 10 steps: one bucket per digit. */
static void llquantize(void)
{
	struct wire_agg a = { .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = 10, .ll_low = 0, .ll_high = 1, .ll_steps = 10,
			      .val_cnt = 39 };
	int64_t v[39] = { 0 };
	v[19] = 1;          /* 0 */
	v[20] = 2;          /* 1 */
	v[19 + 10] = 1;     /* 10 */
	FILE *fp = open_text();
	consume_hist_llquantize(fp, &a, v, &(struct hist_opts){ .normal = 1 });
	fclose(fp);
	CHECK(!strncmp(text, HEAD
		       "              -1 |                                         0        \n"
		       "               0 |@@@@@@@@@@                               1        \n"
		       "               1 |@@@@@@@@@@@@@@@@@@@@                     2        \n"
		       "               2 |                                         0        \n", 300));
	CHECK(strstr(text, "              10 |@@@@@@@@@@                               1        \n") != NULL);
	CHECK(strstr(text, "              20 |                                         0        \n") != NULL);
	CHECK(!strstr(text, "              30 |"));
	v[38] = 1;
	fp = open_text();
	consume_hist_llquantize(fp, &a, v, &(struct hist_opts){ .normal = 1 });
	fclose(fp);
	CHECK(strstr(text, "          >= 100 |@@@@@@@@                                 1        \n") != NULL);
}

/* More steps than the factor at power 0: buckets narrower than 1 are not shown. */
static void llquantize_narrow(void)
{
	struct wire_agg a = { .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = 2, .ll_low = 0, .ll_high = 2, .ll_steps = 4,
			      .val_cnt = 2 * 7 + 1 };
	int64_t v[15] = { 0 };
	v[7] = 1;
	FILE *fp = open_text();
	consume_hist_llquantize(fp, &a, v, &(struct hist_opts){ .normal = 1 });
	fclose(fp);
	CHECK_STR(text, HEAD
		  "              -1 |                                         0        \n"
		  "               0 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 1        \n"
		  "               1 |                                         0        \n");
}

static void stddev(void)
{
	int64_t v[4] = { 2, 10, 4 + 64, 0 }; /* 2 and 8 */
	CHECK_EQ(consume_stddev_of(v, 1), 3);
	int64_t big[4] = { 1, 3, (int64_t)UINT64_MAX, 0 }, one[4] = { 1, 1, 1, 0 };
	consume_stddev_add(big, one);
	CHECK_EQ(big[0], 2);
	CHECK_EQ(big[2], 0);
	CHECK_EQ(big[3], 1);
	int64_t none[4] = { 0 };
	CHECK_EQ(consume_stddev_of(none, 1), 0);
}

TAP_MAIN(TEST(quantize), TEST(quantize_signs), TEST(quantize_nothing), TEST(quantize_edges), TEST(lquantize),
	 TEST(llquantize), TEST(llquantize_narrow), TEST(stddev))
