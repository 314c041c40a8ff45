/* broker/shell/deferred: parked requests are bounded by count and bytes, and what left makes room again. */
#include <stdlib.h>

#include "broker/shell/deferred.h"
#include "tests/support/check.h"

enum { LARGE = 4 * 1024 * 1024 };

static void test_bytes_are_bounded_and_come_back(void)
{
	struct deferred_queue queue = { .head = NULL };
	struct deferred *parked[DEFER_BYTES_MAX / LARGE];
	uint8_t *frame = calloc(1, LARGE);

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < DEFER_BYTES_MAX / LARGE; i++) {
			parked[i] = deferred_add(&queue, i, (struct span){ frame, LARGE }, 5);
			CU_ASSERT_PTR_NOT_NULL_FATAL(parked[i]);
		}
		CU_ASSERT_PTR_NULL(deferred_add(&queue, 9, (struct span){ frame, 1 }, 5));
		for (size_t i = 0; i < DEFER_BYTES_MAX / LARGE; i++) {
			CU_ASSERT_PTR_EQUAL(queue.head, parked[i]); /* In the order in which they came. */
			deferred_take(&queue, parked[i]);
			free(parked[i]);
		}
	}
	CU_ASSERT_PTR_NULL(queue.head);
	free(frame);
}

static void test_the_number_is_bounded(void)
{
	struct deferred_queue queue = { .head = NULL };

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < DEFER_COUNT_MAX; i++)
			CU_ASSERT_PTR_NOT_NULL_FATAL(deferred_add(&queue, 1, SPAN_LITERAL("frame"), 5));
		CU_ASSERT_PTR_NULL(deferred_add(&queue, 1, SPAN_LITERAL("frame"), 5));
		deferred_clear(&queue);
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_bytes_are_bounded_and_come_back),
		CHECK_TEST(test_the_number_is_bounded),
	};
	return check_main("deferred", tests, sizeof(tests) / sizeof(tests[0]));
}
