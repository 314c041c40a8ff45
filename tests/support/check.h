/* The few lines that every CUnit program of ours shares: one suite from a table of tests, and an exit
 * code that is non-zero when anything failed.
 *
 *     int main(void)
 *     {
 *         static const struct check_test tests[] = {
 *             CHECK_TEST(test_append_after_torn_tail_continues_at_last_valid_record),
 *         };
 *         return check_main("commitlog", tests, sizeof(tests) / sizeof(tests[0]));
 *     }
 */
#ifndef ESCROW_TESTS_CHECK_H
#define ESCROW_TESTS_CHECK_H

#include <CUnit/CUnit.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct check_test {
	const char *name;
	void (*run)(void);
};
#define CHECK_TEST(f) { #f, f }

int check_main(const char *suite, const struct check_test *tests, size_t count);

/* Deterministic random numbers for tests (splitmix64). Seed from SEED in the environment, else `fallback`; the seed is printed. */
uint64_t check_seed(uint64_t fallback);
uint64_t check_random(uint64_t *state);

/* Reads a whole file; aborts the program with a message when it cannot. Caller frees. */
uint8_t *check_read_file(const char *path, size_t *size_out);
/* Makes a fresh empty directory under $BUILD_TMP or /tmp and returns its path (caller frees). Removed by check_remove_dir. */
char *check_make_dir(void);
void check_remove_dir(char *path);

/* What standard error is told in between; the caller closes the file. Any one thread, once at a time. */
void check_stderr_begin(void);
FILE *check_stderr_end(void);

#endif
