/* broker/shell/key_searches: each request finds the answer to its own search; the index is the test's hand. */
#include "broker/shell/key_searches.h"

#include "broker/core/key_query.h"
#include "broker/projections/key_index_internal.h"
#include "lib/wire/command.h"
#include "tests/support/check.h"
#include "tests/support/memdisk.h"

struct rig {
	struct loop *loop;
	struct mailbox *mailbox;
	struct memdisk *disk;
	struct key_index *index; /* Has no thread: nobody answers but the test. */
	struct key_searches *searches;
	struct key_port port;
	struct command command;
	struct request request;
	int answered;
};

static void on_answered(void *context)
{
	((struct rig *)context)->answered++;
}

static void open_rig(struct rig *r)
{
	*r = (struct rig){ .loop = loop_create() };
	r->mailbox = mailbox_create(r->loop);
	r->disk = memdisk_create();
	CU_ASSERT_EQUAL_FATAL(key_index_open(memdisk_vfs(r->disk), "store", 60, &r->index, NULL), ST_OK);
	r->searches = key_searches_create(r->mailbox, on_answered, r);
	r->port = key_searches_port(r->searches, r->index);
	r->request = (struct request){ .command = &r->command, .conn_id = 1 };
	key_searches_tick(r->searches, 1000);
}

static void close_rig(struct rig *r)
{
	key_index_close(r->index);
	key_searches_destroy(r->searches);
	mailbox_destroy(r->mailbox);
	memdisk_destroy(r->disk);
	loop_destroy(r->loop);
}

static enum status find(struct rig *r, int32_t opaque, bool again, struct key_hits *hits)
{
	struct key_query query = { .topic = SPAN_LITERAL("t"), .key = SPAN_LITERAL("k"), .end_ms = INT64_MAX };

	r->command.opaque = opaque;
	r->request.again = again;
	return r->port.find(r->port.context, &r->request, &query, hits);
}

/* The latest search is answered with one hit. */
static void answer(struct rig *r, uint64_t hit)
{
	struct key_search *search = r->index->searches;

	CU_ASSERT_PTR_NOT_NULL_FATAL(search);
	r->index->searches = search->next;
	search->hits[0] = hit;
	search->hit_count = 1;
	search->found(search);
	loop_turn(r->loop, 0);
}

static void done(struct rig *r, int32_t opaque)
{
	r->command.opaque = opaque;
	r->port.done(r->port.context, &r->request);
}

static void test_a_request_waits_for_its_answer(void)
{
	struct rig r;
	struct key_hits hits;

	open_rig(&r);
	CU_ASSERT_EQUAL(find(&r, 7, false, &hits), ST_AGAIN);
	CU_ASSERT_EQUAL(find(&r, 7, true, &hits), ST_AGAIN);
	answer(&r, 100);
	CU_ASSERT_EQUAL(r.answered, 1);
	CU_ASSERT_EQUAL_FATAL(find(&r, 7, true, &hits), ST_OK);
	CU_ASSERT_EQUAL(hits.count, 1);
	CU_ASSERT_EQUAL(hits.offsets[0], 100);
	done(&r, 7);
	close_rig(&r);
}

/* Numbers of requests come again: what was found for an earlier one, which nobody came for, is no answer to this one. */
static void test_a_new_request_of_the_same_number_searches_anew(void)
{
	struct rig r;
	struct key_hits hits;

	open_rig(&r);
	CU_ASSERT_EQUAL(find(&r, 7, false, &hits), ST_AGAIN);
	answer(&r, 100);
	CU_ASSERT_EQUAL(find(&r, 7, false, &hits), ST_AGAIN);
	answer(&r, 200);
	CU_ASSERT_EQUAL_FATAL(find(&r, 7, true, &hits), ST_OK);
	CU_ASSERT_EQUAL(hits.offsets[0], 200);
	close_rig(&r);
}

/* One look at the index finds so many; the next one is for those that are older than all of these. */
static void test_a_second_look_goes_on_behind_the_first(void)
{
	struct rig r;
	struct key_hits hits;

	open_rig(&r);
	CU_ASSERT_EQUAL(find(&r, 7, false, &hits), ST_AGAIN);
	answer(&r, 300);
	CU_ASSERT_EQUAL(find(&r, 7, true, &hits), ST_OK);
	r.port.find_more(r.port.context, &r.request);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.index->searches);
	CU_ASSERT_EQUAL(r.index->searches->below, 300);
	answer(&r, 200);
	CU_ASSERT_EQUAL_FATAL(find(&r, 7, true, &hits), ST_OK);
	CU_ASSERT_EQUAL(hits.offsets[0], 200);
	close_rig(&r);
}

static void test_answers_that_nobody_came_for_make_room(void)
{
	struct rig r;
	struct key_hits hits;

	open_rig(&r);
	for (int i = 0; i < KEY_SEARCHES_MAX; i++) {
		CU_ASSERT_EQUAL(find(&r, i, false, &hits), ST_AGAIN);
		answer(&r, 100);
	}
	CU_ASSERT_EQUAL(find(&r, 1000, false, &hits), ST_AGAIN);
	CU_ASSERT_PTR_NULL(r.index->searches); /* It waits for its turn. */
	key_searches_tick(r.searches, 1000 + KEY_ANSWER_KEPT_MS);
	CU_ASSERT_EQUAL(find(&r, 1000, true, &hits), ST_AGAIN);
	CU_ASSERT_PTR_NULL(r.index->searches);
	key_searches_tick(r.searches, 1001 + KEY_ANSWER_KEPT_MS);
	CU_ASSERT_EQUAL(find(&r, 1000, true, &hits), ST_AGAIN);
	answer(&r, 300);
	CU_ASSERT_EQUAL_FATAL(find(&r, 1000, true, &hits), ST_OK);
	CU_ASSERT_EQUAL(hits.offsets[0], 300);
	close_rig(&r);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_request_waits_for_its_answer),
		CHECK_TEST(test_a_new_request_of_the_same_number_searches_anew),
		CHECK_TEST(test_a_second_look_goes_on_behind_the_first),
		CHECK_TEST(test_answers_that_nobody_came_for_make_room),
	};
	return check_main("key_searches", tests, sizeof(tests) / sizeof(tests[0]));
}
