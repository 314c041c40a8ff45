/* namesrv/kv_file: what is saved is loaded again; what is not such a file is refused and left alone. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "namesrv/kv_file.h"
#include "tests/support/check.h"

/* The disk as a test wants it: takes the place of the C library's for this program. */
static int syncs, failing_syncs;

int fsync(int fd)
{
	(void)fd;
	syncs++;
	if (failing_syncs == 0)
		return 0;
	failing_syncs--;
	errno = EIO;
	return -1;
}

static void path_of(const char *dir, const char *name, char out[256])
{
	snprintf(out, 256, "%s/%s", dir, name);
}

static void put(struct kv *kv, const char *name_space, const char *key, const char *value)
{
	CU_ASSERT_EQUAL(kv_put(kv, span_of(name_space), span_of(key), span_of(value), NULL), ST_OK);
}

static bool has(const struct kv *kv, const char *name_space, const char *key, const char *value)
{
	return span_is(kv_get(kv, span_of(name_space), span_of(key)), value);
}

static void test_what_is_saved_is_loaded(void)
{
	struct kv *kv = kv_create(), *again = kv_create();
	char path[256], *dir = check_make_dir();

	path_of(dir, "kv.json", path);
	put(kv, "ORDER_TOPIC_CONFIG", "orders", "broker-a:4;broker-b:4");
	put(kv, "other", "k", "");
	put(kv, "ORDER_TOPIC_CONFIG", "say \"x\"\n", "ü");
	CU_ASSERT_EQUAL(kv_file_save(kv, path, NULL), ST_OK);
	CU_ASSERT_EQUAL(kv_file_load(again, path, NULL), ST_OK);
	CU_ASSERT_TRUE(has(again, "ORDER_TOPIC_CONFIG", "orders", "broker-a:4;broker-b:4"));
	CU_ASSERT_TRUE(has(again, "ORDER_TOPIC_CONFIG", "say \"x\"\n", "ü"));
	uint64_t version = kv_version(kv);
	kv_delete(kv, SPAN_LITERAL("ORDER_TOPIC_CONFIG"), SPAN_LITERAL("orders"));
	CU_ASSERT_TRUE(kv_version(kv) > version);
	CU_ASSERT_EQUAL(kv_file_save(kv, path, NULL), ST_OK);
	kv_destroy(again);
	again = kv_create();
	CU_ASSERT_EQUAL(kv_file_load(again, path, NULL), ST_OK);
	CU_ASSERT_FALSE(has(again, "ORDER_TOPIC_CONFIG", "orders", "broker-a:4;broker-b:4"));
	kv_destroy(kv);
	kv_destroy(again);
	check_remove_dir(dir);
}

/* What is not on the disk is not saved: the file that was there stays. */
static void test_a_failed_sync_is_a_failure_and_leaves_the_old_file(void)
{
	struct kv *kv = kv_create(), *again = kv_create();
	struct errinfo err;
	char path[256], *dir = check_make_dir();

	path_of(dir, "kv.json", path);
	put(kv, "n", "k", "old");
	syncs = 0;
	CU_ASSERT_EQUAL(kv_file_save(kv, path, NULL), ST_OK);
	CU_ASSERT_EQUAL(syncs, 2); /* The file, and its name. */
	put(kv, "n", "k", "new");
	failing_syncs = 1;
	CU_ASSERT_EQUAL(kv_file_save(kv, path, &err), ST_IO);
	CU_ASSERT_EQUAL(kv_file_load(again, path, NULL), ST_OK);
	CU_ASSERT_TRUE(has(again, "n", "k", "old"));
	kv_destroy(kv);
	kv_destroy(again);
	check_remove_dir(dir);
}

/* A stop in the middle of writing leaves more behind than is written now. */
static void test_what_is_left_of_an_unfinished_copy_is_not_taken_along(void)
{
	struct kv *kv = kv_create(), *again = kv_create();
	char path[256], left_path[256], *dir = check_make_dir();

	path_of(dir, "kv.json", path);
	path_of(dir, "kv.json.tmp", left_path);
	put(kv, "a", "name space", "that makes the copy longer");
	CU_ASSERT_EQUAL(kv_file_save(kv, path, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(rename(path, left_path), 0);
	kv_destroy(kv);
	kv = kv_create();
	put(kv, "n", "k", "v");
	CU_ASSERT_EQUAL(kv_file_save(kv, path, NULL), ST_OK);
	CU_ASSERT_EQUAL(kv_file_load(again, path, NULL), ST_OK);
	CU_ASSERT_TRUE(has(again, "n", "k", "v"));
	kv_destroy(kv);
	kv_destroy(again);
	check_remove_dir(dir);
}

/* A start without its settings would write over them at the next change. */
static void test_a_file_that_cannot_be_opened_is_not_an_absent_one(void)
{
	struct kv *kv = kv_create();
	struct errinfo err;
	char path[256], *dir = check_make_dir();

	path_of(dir, "itself", path);
	CU_ASSERT_EQUAL_FATAL(symlink("itself", path), 0); /* For root, too, who may read everything. */
	CU_ASSERT_EQUAL(kv_file_load(kv, path, &err), ST_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "kvConfigPath="));
	kv_destroy(kv);
	check_remove_dir(dir);
}

static void test_other_files(void)
{
	static const char *const texts[] = { "", "nonsense", "[]", "{}", "{\"configTable\":[]}" };
	struct kv *kv = kv_create();
	struct errinfo err;
	char path[256], *dir = check_make_dir();

	path_of(dir, "not-there.json", path);
	CU_ASSERT_EQUAL(kv_file_load(kv, path, &err), ST_OK);
	path_of(dir, "other.json", path);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *file = fopen(path, "w");
		CU_ASSERT_PTR_NOT_NULL_FATAL(file);
		fputs(texts[i], file);
		fclose(file);
		CU_ASSERT_EQUAL(kv_file_load(kv, path, &err), ST_INVALID);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "kvConfigPath="));
	}
	path_of(dir, "no-such-directory/kv.json", path);
	CU_ASSERT_EQUAL(kv_file_save(kv, path, &err), ST_IO);
	kv_destroy(kv);
	check_remove_dir(dir);
}

/* As with RocketMQ, a namespace whose last key is deleted is an empty table from then on, not an unknown one. */
static void test_emptied_namespace(void)
{
	struct kv *kv = kv_create(), *again = kv_create();
	char path[256], *dir = check_make_dir();
	struct buffer table;

	path_of(dir, "kv.json", path);
	buffer_init(&table, 0);
	put(kv, "n", "k", "v");
	kv_delete(kv, SPAN_LITERAL("n"), SPAN_LITERAL("k"));
	CU_ASSERT_PTR_NULL(kv_get(kv, SPAN_LITERAL("n"), SPAN_LITERAL("k")).data);
	CU_ASSERT_TRUE(kv_table(kv, SPAN_LITERAL("n"), &table));
	CU_ASSERT_TRUE(span_is(buffer_span(&table), "{\"table\":{}}"));
	CU_ASSERT_FALSE(kv_table(kv, SPAN_LITERAL("never"), &table));
	CU_ASSERT_EQUAL(kv_file_save(kv, path, NULL), ST_OK);
	CU_ASSERT_EQUAL(kv_file_load(again, path, NULL), ST_OK);
	buffer_reset(&table);
	CU_ASSERT_TRUE(kv_table(again, SPAN_LITERAL("n"), &table));
	put(again, "n", "k", "w");
	buffer_reset(&table);
	CU_ASSERT_TRUE(kv_table(again, SPAN_LITERAL("n"), &table));
	CU_ASSERT_TRUE(span_is(buffer_span(&table), "{\"table\":{\"k\":\"w\"}}"));
	buffer_deinit(&table);
	kv_destroy(kv);
	kv_destroy(again);
	check_remove_dir(dir);
}

/* They are no reason to refuse a setting. */
static void test_emptied_namespaces_make_room(void)
{
	struct kv *kv = kv_create();
	char name[32];

	for (int i = 0; i < KV_COUNT_MAX + 10; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		put(kv, name, "k", "v");
		kv_delete(kv, span_of(name), SPAN_LITERAL("k"));
	}
	for (int i = 0; i < KV_COUNT_MAX; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		put(kv, "n", name, "v");
	}
	CU_ASSERT_TRUE(has(kv, "n", "k0", "v"));
	kv_destroy(kv);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_saved_is_loaded),
		CHECK_TEST(test_a_failed_sync_is_a_failure_and_leaves_the_old_file),
		CHECK_TEST(test_what_is_left_of_an_unfinished_copy_is_not_taken_along),
		CHECK_TEST(test_a_file_that_cannot_be_opened_is_not_an_absent_one),
		CHECK_TEST(test_other_files),
		CHECK_TEST(test_emptied_namespace),
		CHECK_TEST(test_emptied_namespaces_make_room),
	};
	return check_main("kv_file", tests, sizeof(tests) / sizeof(tests[0]));
}
