/* QUERY_MESSAGE: limits, order, the index's figures, rounds of hits, and what is hit twice. The index is the test's. */
#include "tests/unit/handlers/handlers_fixture.h"

#include "broker/core/key_query.h"
#include "lib/base/logging.h"
#include "lib/wire/message.h"

enum { HITS = 16 };

/* Answers with `all`, HITS at a time. */
struct index {
	uint64_t all[200];
	size_t count, at, finds, done;
	struct key_found found;
	bool tag;
};

static enum status find(void *context, const struct request *request, const struct key_query *query, struct key_hits *out)
{
	struct index *index = context;

	index->tag = query->tag;
	if (!request->again) {
		index->at = 0;
		index->found = (struct key_found){ .count = 0 };
		return ST_AGAIN;
	}
	index->finds++;
	size_t count = index->count - index->at < HITS ? index->count - index->at : HITS;
	*out = (struct key_hits){ index->all + index->at, count, 777, 888, count == HITS, &index->found };
	return ST_OK;
}

static void find_more(void *context, const struct request *request)
{
	struct index *index = context;

	(void)request;
	index->at += HITS;
	index->found.looked_at = 0;
	index->found.rounds++;
}

static void done(void *context, const struct request *request)
{
	(void)request;
	((struct index *)context)->done++;
}

static struct bench *open_bench(struct index *index)
{
	struct bench *b = bench_open();

	*index = (struct index){ .count = 0 };
	b->handlers.keys = (struct key_port){ index, find, find_more, done };
	return b;
}

/* Sends messages with this key, of which every `every`th counts; the latest is hit first. */
static void send_some(struct bench *b, struct index *index, size_t count, size_t every)
{
	for (size_t i = 0; i < count; i++) {
		char unique[24], more[32];
		snprintf(unique, sizeof(unique), "u%zu", i);
		snprintf(more, sizeof(more), "KEYS\001%s\002", i % every == 0 ? "k" : "other");
		struct send_result sent = must_send(b->f, (struct sent){ .topic = "t", .key = unique, .tag = "red", .more = more });
		memmove(index->all + 1, index->all, index->count++ * sizeof(index->all[0]));
		index->all[0] = sent.log_offset;
	}
	fixture_disk(b->f, true);
}

/* The number of messages in the answer, which must ascend; their bodies in `first` and `last`. */
static size_t ask(struct bench *b, const char *const *fields, char first[16], char last[16])
{
	struct message message;
	size_t count = 0;
	int64_t before = -1;

	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_QUERY_MESSAGE, fields, ""), ST_AGAIN);
	for (int i = 0; bench_ask_again(b, OPERATOR) == ST_AGAIN; i++)
		CU_ASSERT_TRUE_FATAL(i < 100);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	if (b->out[0].command.code != RESP_SUCCESS) {
		CU_ASSERT_EQUAL(b->out[0].command.code, RESP_QUERY_NOT_FOUND);
		return 0;
	}
	for (struct span rest = b->out[0].command.body; message_next(&rest, &message, NULL) == ST_OK; count++) {
		CU_ASSERT_TRUE(message.physical_offset > before);
		before = message.physical_offset;
		snprintf(count == 0 ? first : last, 16, "%.*s", SPAN_ARGS(message.body));
	}
	return count;
}

static const char *const by_key[] = { "topic", "t", "key", "k", "maxNum", "100", "beginTimestamp", "0", "endTimestamp",
				      "9223372036854775807", NULL };

static void test_limits_and_order(void)
{
	static const char *const few[] = { "topic", "t", "key", "k", "maxNum", "3", "beginTimestamp", "0", "endTimestamp",
					   "9223372036854775807", NULL };
	static const char *const unique[] = { "topic", "t", "key", "k", "maxNum", "1", "beginTimestamp", "0", "endTimestamp",
					      "9223372036854775807", "_UNIQUE_KEY_QUERY", "true", "indexType", "T", NULL };
	struct index index;
	struct bench *b = open_bench(&index);
	char first[16] = "", last[16] = "";

	send_some(b, &index, 90, 1);
	CU_ASSERT_EQUAL(ask(b, by_key, first, last), KEY_MESSAGES_MAX);
	CU_ASSERT_STRING_EQUAL(first, "u26");
	CU_ASSERT_STRING_EQUAL(last, "u89");
	CU_ASSERT_EQUAL(index.finds, 4);
	CU_ASSERT_EQUAL(index.done, 1);
	struct span text = buffer_span(&b->out[0].frame);
	CU_ASSERT_PTR_NOT_NULL(memmem(text.data, text.size, "\"indexLastUpdatePhyoffset\":\"777\"", 32));
	CU_ASSERT_PTR_NOT_NULL(memmem(text.data, text.size, "\"indexLastUpdateTimestamp\":\"888\"", 32));
	CU_ASSERT_EQUAL(ask(b, few, first, last), 3);
	CU_ASSERT_STRING_EQUAL(first, "u87");
	CU_ASSERT_EQUAL(ask(b, unique, first, last), 32);
	CU_ASSERT_FALSE(index.tag);
	bench_close(b);
}

static void test_hits_that_are_none_and_twice(void)
{
	static const char *const by_tag[] = { "topic", "t", "key", "red", "maxNum", "64", "beginTimestamp", "0", "endTimestamp",
					      "9223372036854775807", "indexType", "T", NULL };
	static const char *const none[] = { "topic", "t", "key", "nobody's", "maxNum", "64", "beginTimestamp", "0", "endTimestamp",
					    "9223372036854775807", NULL };
	struct index index;
	struct bench *b = open_bench(&index);
	char first[16] = "", last[16] = "";

	send_some(b, &index, 80, 20);
	memmove(index.all + 1, index.all, index.count++ * sizeof(index.all[0]));
	CU_ASSERT_EQUAL(ask(b, by_key, first, last), 4);
	CU_ASSERT_STRING_EQUAL(first, "u0");
	CU_ASSERT_STRING_EQUAL(last, "u60");
	CU_ASSERT_EQUAL(ask(b, none, first, last), 0);
	CU_ASSERT_EQUAL(index.done, 2);
	CU_ASSERT_EQUAL(ask(b, by_tag, first, last), KEY_MESSAGES_MAX);
	CU_ASSERT_TRUE(index.tag);
	b->handlers.keys = (struct key_port){ .find = NULL };
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_QUERY_MESSAGE, by_key, ""), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SYSTEM_ERROR);
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_limits_and_order),
		CHECK_TEST(test_hits_that_are_none_and_twice),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("query", tests, sizeof(tests) / sizeof(tests[0]));
}
