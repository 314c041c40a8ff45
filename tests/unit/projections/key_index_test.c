/* The key index: it finds what a list of everything finds; over restarts, lost and damaged runs, another log, retention. */
#include "tests/unit/log/log_fixture.h"

#include <pthread.h>

#include "broker/projections/key_index.h"
#include "lib/index/key_run.h"
#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"

enum { RUN_ENTRIES = 60, SENT_MAX = 5000, KEYS = 25 };

struct fixture {
	struct memdisk *disk;
	struct commitlog_config config;
	struct commitlog *log;
	struct key_index *index;
	struct {
		uint64_t offset;
		unsigned key;
	} sent[SENT_MAX];
	size_t count;
};

static void open_index(struct fixture *f)
{
	CU_ASSERT_EQUAL_FATAL(key_index_open(memdisk_vfs(f->disk), "store", RUN_ENTRIES, &f->index, NULL), ST_OK);
}

static void catch_up(struct fixture *f)
{
	struct errinfo err = { 0 };

	flush_all(f->log);
	key_index_advance(f->index, commitlog_durable(f->log), commitlog_start(f->log));
	CU_ASSERT_EQUAL(key_index_catch_up(f->index, &err), ST_OK);
}

static struct fixture *create(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	f->disk = memdisk_create();
	f->config = small_config();
	f->log = must_open(f->disk, &f->config);
	open_index(f);
	return f;
}

static void reopen_index(struct fixture *f)
{
	key_index_close(f->index);
	open_index(f);
}

static void destroy(struct fixture *f)
{
	key_index_close(f->index);
	CU_ASSERT_EQUAL(commitlog_close(f->log, true, NULL), ST_OK);
	memdisk_destroy(f->disk);
	free(f);
}

/* A message or half with these KEYS, a unique key of its own, and the tag of an even or an odd key. */
static void put_with_keys(struct fixture *f, const char *keys, unsigned key, bool half)
{
	char unique[32];
	uint8_t encoded[1024];
	struct buffer properties;

	snprintf(unique, sizeof(unique), "unique-%zu", f->count);
	buffer_init(&properties, 256);
	property_put(&properties, PROPERTY_KEYS, span_of(keys));
	property_put(&properties, PROPERTY_UNIQ_KEY, span_of(unique));
	property_put(&properties, PROPERTY_TAGS, span_of(key % 2 == 0 ? "even" : "odd"));
	struct message message = { .topic = SPAN_LITERAL("t"), .body = SPAN_LITERAL("body"), .properties = buffer_span(&properties) };
	struct span bytes = { encoded, message_encode(&message, encoded) };
	int64_t now_ms = 1700000000000 + (int64_t)f->count;
	struct record_message m = { .store_time_ms = now_ms, .topic = message.topic, .message = bytes };
	struct record_half h = { .store_time_ms = now_ms, .topic = message.topic, .group = SPAN_LITERAL("g"), .message = bytes };
	size_t size = half ? record_half_size(&h) : record_message_size(&m);
	uint64_t offset = 0;
	uint8_t *p;

	while ((p = commitlog_begin(f->log, half ? LOG_HALF : LOG_MESSAGE, size, &offset)) == NULL) {
		flush_all(f->log);
		prepare_all(f->log);
	}
	if (half)
		record_half_encode(&h, p);
	else
		record_message_encode(&m, p);
	commitlog_commit(f->log);
	buffer_deinit(&properties);
	f->sent[f->count].offset = offset;
	f->sent[f->count++].key = key;
}

/* One with KEYS "k<key> all". */
static void put(struct fixture *f, unsigned key, bool half)
{
	char keys[32];

	snprintf(keys, sizeof(keys), "k%u all", key);
	put_with_keys(f, keys, key, half);
}

static size_t search(struct fixture *f, const char *key, struct key_search *out)
{
	*out = (struct key_search){ .hash = key_index_hash(SPAN_LITERAL("t"), KEY_OF_MESSAGE, span_of(key)), .end_ms = INT64_MAX,
				     .below = UINT64_MAX };
	key_index_answer(f->index, out);
	return out->hit_count;
}

/* Each key gives just its messages, the latest first; each unique key its one. */
static void check_all(struct fixture *f)
{
	struct key_search found;
	char text[32];

	for (unsigned key = 0; key < KEYS; key++) {
		snprintf(text, sizeof(text), "k%u", key);
		size_t hits = search(f, text, &found), at = 0;
		for (size_t i = f->count; i-- > 0;) {
			if (f->sent[i].key != key || f->sent[i].offset < commitlog_start(f->log))
				continue;
			if (at >= hits || found.hits[at++] != f->sent[i].offset)
				CU_FAIL_FATAL("a hit is missing or out of order");
		}
		CU_ASSERT_EQUAL(at, hits);
	}
	for (size_t i = 0; i < f->count; i += 7) {
		snprintf(text, sizeof(text), "unique-%zu", i);
		bool kept = f->sent[i].offset >= commitlog_start(f->log);
		CU_ASSERT_EQUAL(search(f, text, &found), kept ? 1 : 0);
		CU_ASSERT_TRUE(!kept || found.hits[0] == f->sent[i].offset);
	}
}

static void put_some(struct fixture *f, uint64_t *random, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put(f, (unsigned)(check_random(random) % KEYS), check_random(random) % 3 == 0);
}

static void test_what_is_sent_is_found(void)
{
	struct fixture *f = create();
	struct key_search found;
	uint64_t random = check_seed(11);

	CU_ASSERT_EQUAL(search(f, "k1", &found), 0);
	for (int round = 0; round < 20; round++) {
		put_some(f, &random, check_random(&random) % 60);
		catch_up(f);
		if (round % 3 == 2)
			reopen_index(f), catch_up(f);
		check_all(f);
	}
	CU_ASSERT_TRUE(key_index_run_count(f->index) > 10);
	CU_ASSERT_EQUAL(search(f, "nobody's", &found), 0);
	CU_ASSERT_EQUAL(found.indexed_to, commitlog_durable(f->log));
	CU_ASSERT_EQUAL(search(f, "all", &found), KEY_INDEX_HITS_MAX);
	CU_ASSERT_EQUAL(found.hits[0], f->sent[f->count - 1].offset);
	destroy(f);
}

/* By each of its keys, however many: up to 64. */
static void test_a_message_of_many_keys_is_found_by_each(void)
{
	enum { MANY = 64 };
	struct fixture *f = create();
	struct key_search found;
	char keys[MANY * 6] = "", key[16];

	for (int i = 0; i < MANY; i++)
		snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), "m%d ", i);
	put_with_keys(f, keys, 1, false);
	catch_up(f);
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "m%d", i);
		CU_ASSERT_EQUAL(search(f, key, &found), 1);
	}
	destroy(f);
}

static void test_nothing_above_the_durable_mark(void)
{
	struct fixture *f = create();
	struct key_search found;
	struct errinfo err;

	put(f, 1, false);
	catch_up(f);
	put(f, 1, false);
	CU_ASSERT_EQUAL(key_index_catch_up(f->index, &err), ST_OK);
	CU_ASSERT_EQUAL(search(f, "k1", &found), 1);
	catch_up(f);
	CU_ASSERT_EQUAL(search(f, "k1", &found), 2);
	destroy(f);
}

/* The names of the runs that are on the disk. */
static size_t runs_of(struct fixture *f, uint64_t names[64])
{
	size_t count;

	CU_ASSERT_EQUAL(key_run_list(memdisk_vfs(f->disk), "store/keys", names, 64, &count, NULL), ST_OK);
	return count;
}

static void test_a_lost_index_is_made_anew(void)
{
	struct fixture *f = create();
	uint64_t random = check_seed(12), names[64];

	put_some(f, &random, 300);
	catch_up(f);
	CU_ASSERT_TRUE(runs_of(f, names) > 3);
	memdisk_remove_all(f->disk, "store/keys/");
	reopen_index(f);
	catch_up(f);
	check_all(f);
	CU_ASSERT_TRUE(runs_of(f, names) > 3);
	destroy(f);
}

/* A damaged run is made anew, and what is behind it; damaged entries hide their messages, and no others. */
static void test_a_damaged_run_is_made_anew(void)
{
	struct fixture *f = create();
	uint64_t random = check_seed(13), names[64];
	char path[64];
	size_t size;

	put_some(f, &random, 300);
	catch_up(f);
	size_t count = runs_of(f, names);
	for (size_t i = 1; i < 4; i++) {
		snprintf(path, sizeof(path), "store/keys/%020llu", (unsigned long long)names[i]);
		uint8_t *data = memdisk_data(f->disk, path, &size);
		CU_ASSERT_PTR_NOT_NULL_FATAL(data);
		uint8_t newest = data[64];
		if (i == 1)
			data[64] ^= 1; /* A time that would hide its messages from whoever asks for that time. */
		else
			memdisk_put(f->disk, path, data, size - 8);
		reopen_index(f);
		catch_up(f);
		CU_ASSERT_TRUE(key_index_run_count(f->index) + 1 >= count);
		CU_ASSERT_EQUAL(memdisk_data(f->disk, path, &size)[64], newest);
		check_all(f);
	}
	runs_of(f, names);
	snprintf(path, sizeof(path), "store/keys/%020llu", (unsigned long long)names[3]);
	memset(memdisk_data(f->disk, path, &size) + 200, 0xff, 300);
	reopen_index(f);
	catch_up(f);
	struct key_search found;
	for (size_t i = 0; i < f->count; i++) {
		char text[32];
		snprintf(text, sizeof(text), "unique-%zu", i);
		if (f->sent[i].offset >= names[3] || f->sent[i].offset < names[2])
			CU_ASSERT_EQUAL(search(f, text, &found), 1);
	}
	destroy(f);
}

/* What was stored later than asked for is left out, however much of it there is; the rest comes in pieces. */
static void test_only_what_is_asked_for(void)
{
	struct fixture *f = create();
	uint64_t random = check_seed(16);
	struct key_search found;

	put_some(f, &random, 900);
	catch_up(f);
	for (int round = 0; round < 30; round++) {
		size_t end = check_random(&random) % f->count, at = 0;
		found = (struct key_search){ .hash = key_index_hash(SPAN_LITERAL("t"), KEY_TAG, SPAN_LITERAL("odd")),
					     .end_ms = 1700000000000 + (int64_t)end, .below = UINT64_MAX };
		key_index_answer(f->index, &found);
		for (size_t i = end + 1; i-- > 0;) {
			if (f->sent[i].key % 2 == 0)
				continue;
			if (at == found.hit_count && at == KEY_INDEX_HITS_MAX) {
				found.below = found.hits[at - 1];
				key_index_answer(f->index, &found);
				at = 0;
			}
			if (at >= found.hit_count || found.hits[at++] != f->sent[i].offset)
				CU_FAIL_FATAL("a hit is missing or out of order");
		}
		CU_ASSERT_EQUAL(at, found.hit_count);
	}
	int64_t newest = 1700000000000 + (int64_t)f->count - 1;
	CU_ASSERT_EQUAL(found.indexed_ms, newest);
	reopen_index(f);
	catch_up(f);
	key_index_answer(f->index, &found);
	CU_ASSERT_EQUAL(found.indexed_ms, newest);
	destroy(f);
}

static void test_runs_of_another_log_are_not_taken(void)
{
	struct fixture *f = create(), *other = create();
	uint64_t random = check_seed(14), names[64];
	char path[64];
	size_t size;

	put_some(f, &random, 200);
	catch_up(f);
	CU_ASSERT_EQUAL(commitlog_close(other->log, true, NULL), ST_OK);
	memdisk_destroy(other->disk);
	other->disk = memdisk_create();
	other->config.log_id[0] = 9;
	other->log = must_open(other->disk, &other->config);
	CU_ASSERT_TRUE_FATAL(runs_of(f, names) > 1);
	snprintf(path, sizeof(path), "store/keys/%020llu", (unsigned long long)names[0]);
	const uint8_t *data = memdisk_data(f->disk, path, &size);
	CU_ASSERT_EQUAL(memdisk_vfs(other->disk)->mkdir(memdisk_vfs(other->disk)->context, "store/keys", NULL), ST_OK);
	memdisk_put(other->disk, path, data, size);
	reopen_index(other);
	put_some(other, &random, 40);
	catch_up(other);
	check_all(other);
	CU_ASSERT_EQUAL(commitlog_close(f->log, true, NULL), ST_OK);
	f->log = must_open(f->disk, &f->config);
	destroy(f);
	destroy(other);
}

/* A power cut took the log's end; what runs say of it is not so, and what comes instead is found. */
static void test_runs_beyond_the_logs_end_are_not_taken(void)
{
	struct fixture *f = create(), *shorter = create();
	uint64_t random = check_seed(17), names[64];
	char path[64];
	size_t size;

	put_some(f, &random, 200);
	catch_up(f);
	CU_ASSERT_TRUE_FATAL(runs_of(f, names) > 1);
	snprintf(path, sizeof(path), "store/keys/%020llu", (unsigned long long)names[0]);
	const uint8_t *data = memdisk_data(f->disk, path, &size);
	CU_ASSERT_EQUAL(memdisk_vfs(shorter->disk)->mkdir(memdisk_vfs(shorter->disk)->context, "store/keys", NULL), ST_OK);
	memdisk_put(shorter->disk, path, data, size);
	put_some(shorter, &random, 5);
	catch_up(shorter);
	check_all(shorter);
	put_some(shorter, &random, 40);
	catch_up(shorter);
	check_all(shorter);
	destroy(shorter);
	destroy(f);
}

/* A record that cannot be read now: what was read before it is read again with it, and is there once. */
static void test_what_was_read_before_a_failure_is_found_once(void)
{
	static const char segment[] = "store/commitlog/00000000000000000000";
	struct fixture *f = create();
	struct key_search found;
	struct errinfo err;
	size_t size;

	put(f, 1, false);
	put(f, 2, false);
	put(f, 3, false);
	flush_all(f->log);
	key_index_advance(f->index, commitlog_durable(f->log), commitlog_start(f->log));
	uint8_t *data = memdisk_data(f->disk, segment, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	data[f->sent[2].offset + 60] ^= 1;
	CU_ASSERT_EQUAL(key_index_catch_up(f->index, &err), ST_CORRUPT);
	data[f->sent[2].offset + 60] ^= 1;
	catch_up(f);
	check_all(f);
	CU_ASSERT_EQUAL(search(f, "all", &found), 3);
	destroy(f);
}

static void test_runs_go_with_their_log(void)
{
	struct fixture *f = create();
	uint64_t random = check_seed(15), names[64];

	while (commitlog_segment_count(f->log) < 3)
		put_some(f, &random, 20);
	catch_up(f);
	size_t before = runs_of(f, names);
	CU_ASSERT_EQUAL(commitlog_drop_oldest(f->log), ST_OK);
	catch_up(f);
	CU_ASSERT_TRUE(runs_of(f, names) < before);
	CU_ASSERT_TRUE(names[0] > commitlog_start(f->log));
	/* All at once, and the index was away: it goes on with what is left. */
	reopen_index(f);
	memdisk_remove_all(f->disk, "store/keys/");
	catch_up(f);
	put_some(f, &random, 30);
	catch_up(f);
	struct key_search found;
	char text[32];
	snprintf(text, sizeof(text), "unique-%zu", f->count - 1);
	CU_ASSERT_EQUAL(search(f, text, &found), 1);
	destroy(f);
}

/* A body that was carried is found where it lies now, first of all: its first place may be gone. */
static void test_a_carried_body_is_found_at_its_new_place(void)
{
	struct fixture *f = create();
	struct key_search found;
	struct logreader *reader;
	struct log_record record;
	uint8_t original[1024];
	uint64_t offset = 0;

	put(f, 3, true);
	flush_all(f->log);
	CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(f->disk), "store", f->sent[0].offset, &reader, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(logreader_next(reader, commitlog_durable(f->log), &record, NULL), ST_OK);
	CU_ASSERT_FATAL(record.kind == LOG_HALF && record.payload.size <= sizeof(original));
	memcpy(original, record.payload.data, record.payload.size);
	struct record_carry carry = { f->sent[0].offset, LOG_HALF, { original, record.payload.size } };
	logreader_close(reader);
	record_carry_encode(&carry, commitlog_begin(f->log, LOG_CARRY, record_carry_size(&carry), &offset));
	commitlog_commit(f->log);
	catch_up(f);
	CU_ASSERT_EQUAL_FATAL(search(f, "unique-0", &found), 2);
	CU_ASSERT_EQUAL(found.hits[0], offset);
	CU_ASSERT_EQUAL(found.hits[1], f->sent[0].offset);
	destroy(f);
}

struct asked {
	struct key_search search;
	pthread_mutex_t lock;
	pthread_cond_t told;
	bool done;
};

static void on_found(struct key_search *search)
{
	struct asked *asked = (struct asked *)search;

	pthread_mutex_lock(&asked->lock);
	asked->done = true;
	pthread_cond_signal(&asked->told);
	pthread_mutex_unlock(&asked->lock);
}

/* Of more than the thread reads between two looks at who asks: who asks for the last of them waits until it was read. */
static void test_what_is_durable_is_waited_for(void)
{
	struct fixture *f = create();
	struct asked asked = { .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER };
	struct key_index *index;
	char text[32];

	for (unsigned i = 0; i < SENT_MAX; i++)
		put(f, i % KEYS, false);
	flush_all(f->log);
	snprintf(text, sizeof(text), "unique-%d", SENT_MAX - 1);
	asked.search = (struct key_search){ .hash = key_index_hash(SPAN_LITERAL("t"), KEY_OF_MESSAGE, span_of(text)),
					    .end_ms = INT64_MAX, .below = UINT64_MAX, .found = on_found };
	CU_ASSERT_EQUAL_FATAL(key_index_start(memdisk_vfs(f->disk), "store", 0, &index, NULL), ST_OK);
	key_index_advance(index, commitlog_durable(f->log), commitlog_start(f->log));
	key_index_search(index, &asked.search);
	pthread_mutex_lock(&asked.lock);
	while (!asked.done)
		pthread_cond_wait(&asked.told, &asked.lock);
	pthread_mutex_unlock(&asked.lock);
	key_index_stop(index);
	CU_ASSERT_EQUAL(asked.search.hit_count, 1);
	CU_ASSERT_EQUAL(asked.search.hits[0], f->sent[SENT_MAX - 1].offset);
	destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_sent_is_found),
		CHECK_TEST(test_a_message_of_many_keys_is_found_by_each),
		CHECK_TEST(test_nothing_above_the_durable_mark),
		CHECK_TEST(test_a_lost_index_is_made_anew),
		CHECK_TEST(test_a_damaged_run_is_made_anew),
		CHECK_TEST(test_only_what_is_asked_for),
		CHECK_TEST(test_runs_of_another_log_are_not_taken),
		CHECK_TEST(test_runs_beyond_the_logs_end_are_not_taken),
		CHECK_TEST(test_what_was_read_before_a_failure_is_found_once),
		CHECK_TEST(test_runs_go_with_their_log),
		CHECK_TEST(test_a_carried_body_is_found_at_its_new_place),
		CHECK_TEST(test_what_is_durable_is_waited_for),
	};
	log_set_level(LOGLEVEL_ERROR);
	return check_main("key_index", tests, sizeof(tests) / sizeof(tests[0]));
}
