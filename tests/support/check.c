/* See check.h. */
#include "tests/support/check.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int check_main(const char *suite_name, const struct check_test *tests, size_t count)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; i < count; i++) {
		if (suite == NULL || CU_add_test(suite, tests[i].name, tests[i].run) == NULL)
			return 2;
	}
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	unsigned ran = CU_get_number_of_tests_run();
	CU_cleanup_registry();
	return failures == 0 && ran == count ? 0 : 1;
}

uint64_t check_seed(uint64_t fallback)
{
	const char *text = getenv("SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : fallback;

	printf("SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

uint64_t check_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static void die(const char *what, const char *path)
{
	fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
	exit(2);
}

uint8_t *check_read_file(const char *path, size_t *size_out)
{
	FILE *file = fopen(path, "rbe");
	size_t size = 0, capacity = 4096;
	uint8_t *data = malloc(capacity);

	if (file == NULL || data == NULL)
		die("open", path);
	for (size_t got; (got = fread(data + size, 1, capacity - size, file)) > 0;) {
		size += got;
		if (size == capacity && (data = realloc(data, capacity *= 2)) == NULL)
			die("read", path);
	}
	fclose(file);
	*size_out = size;
	return data;
}

char *check_make_dir(void)
{
	const char *base = getenv("BUILD_TMP");
	char path[512];

	snprintf(path, sizeof(path), "%s/escrow-test-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(path) == NULL)
		die("mkdtemp", path);
	return strdup(path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void check_remove_dir(char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(path);
}

static struct {
	FILE *file;
	int before;
} caught;

void check_stderr_begin(void)
{
	caught.file = tmpfile();
	caught.before = dup(STDERR_FILENO);
	fflush(stderr);
	if (caught.file == NULL || caught.before < 0 || dup2(fileno(caught.file), STDERR_FILENO) < 0)
		die("catch", "standard error");
}

FILE *check_stderr_end(void)
{
	fflush(stderr);
	if (dup2(caught.before, STDERR_FILENO) < 0)
		die("give back", "standard error");
	close(caught.before);
	rewind(caught.file);
	return caught.file;
}
