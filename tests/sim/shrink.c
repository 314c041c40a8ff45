#include "tests/sim/shrink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/plan.h"
#include "tests/sim/seed.h"

struct shrinking {
	uint64_t seed;
	char invariant[8];
	uint8_t left_out[OPERATIONS];
	struct report *shared;
	int runs_left;
};

static size_t kept(const struct shrinking *s)
{
	size_t count = 0;

	for (int i = 0; i < OPERATIONS; i++)
		count += s->left_out[i] == 0;
	return count;
}

/* Does it still fail in the same way with these left out? */
static bool still_fails(struct shrinking *s, const uint8_t *left_out)
{
	struct seed_run run = { .seed = s->seed, .left_out = left_out, .quiet = true };

	if (s->runs_left-- <= 0)
		return false;
	seed_run(&run, s->shared);
	return strcmp(s->shared->invariant, s->invariant) == 0;
}

/* Leaves out [from, to) of those that are kept, if it fails without them. */
static bool try_without(struct shrinking *s, size_t from, size_t to)
{
	uint8_t left_out[OPERATIONS];
	size_t place = 0;

	memcpy(left_out, s->left_out, sizeof(left_out));
	for (int i = 0; i < OPERATIONS; i++) {
		if (s->left_out[i] == 0) {
			if (place >= from && place < to)
				left_out[i] = 1;
			place++;
		}
	}
	if (!still_fails(s, left_out))
		return false;
	memcpy(s->left_out, left_out, sizeof(left_out));
	return true;
}

/* What was not begun when it failed is not needed. */
static void cut_tail(struct shrinking *s, uint64_t operations)
{
	if (operations < OPERATIONS)
		(void)try_without(s, (size_t)operations, OPERATIONS);
}

static void minimise(struct shrinking *s)
{
	for (size_t chunk = kept(s) / 2; chunk > 0 && s->runs_left > 0;) {
		bool shorter = false;

		/* From the end: causes come before their consequences. */
		for (size_t end = kept(s); end > 0 && s->runs_left > 0;) {
			size_t from = end > chunk ? end - chunk : 0;

			shorter |= try_without(s, from, end);
			end = from;
		}
		if (!shorter || chunk > kept(s))
			chunk = chunk > kept(s) ? kept(s) / 2 : chunk / 2;
	}
}

static void tell(struct shrinking *s)
{
	struct seed_run run = { .seed = s->seed, .left_out = s->left_out, .told = true, .quiet = false };
	bool first = true;

	printf("--- the shortest history that was found: %zu of %d operations\n", kept(s), OPERATIONS);
	seed_run(&run, s->shared);
	printf("--- to see it again: build/tests/sim/sim --seed %" PRIu64 " --keep ", s->seed);
	for (int i = 0; i < OPERATIONS; i++) {
		if (s->left_out[i] == 0)
			printf("%s%d", first ? "" : ",", i);
		first = first && s->left_out[i] != 0;
	}
	printf("%s\n", first ? "none" : "");
}

void shrink(const struct report *failed, int runs_max)
{
	struct shrinking *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->seed = failed->seed;
	memcpy(s->invariant, failed->invariant, sizeof(s->invariant));
	s->shared = report_share();
	s->runs_left = runs_max;
	cut_tail(s, failed->last_operation + 1);
	minimise(s);
	tell(s);
	free(s);
}
