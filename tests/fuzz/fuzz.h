/* SPDX-License-Identifier: MIT */
/*
 * What a fuzz target is: two functions in fuzz_NAME.c.  driver.c makes a
 * deterministic TAP test of them; with clang, libFuzzer takes its place
 * (target fuzz_NAME_libfuzzer).  A target finds bugs by crashing: abort() on
 * a broken promise.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Runs one input.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
/* Writes the @i-th valid input to @buf, at most @cap bytes; returns its length, or 0 past the
 * last one.  Mutations start from these. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap);

#endif
