#include "tests/sim/business.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/report.h"

static struct {
	struct business *all; /* By item number. */
	uint32_t capacity;
	bool truthful;
} world;

void business_begin(void)
{
	memset(&world, 0, sizeof(world));
}

void business_end(void)
{
	free(world.all);
	memset(&world, 0, sizeof(world));
}

struct business *business_of(const struct item *item)
{
	if (item->number >= world.capacity) {
		uint32_t capacity = world.capacity == 0 ? 4096 : world.capacity;

		while (capacity <= item->number)
			capacity *= 2;
		world.all = realloc(world.all, capacity * sizeof(*world.all));
		if (world.all == NULL)
			abort();
		memset(world.all + world.capacity, 0, (capacity - world.capacity) * sizeof(*world.all));
		world.capacity = capacity;
	}
	return &world.all[item->number];
}

static enum end_way draw_end(struct chance *chance)
{
	unsigned dice = (unsigned)chance_below(chance, 100);

	return dice < 60 ? END_ANSWERED : dice < 75 ? END_ONEWAY : dice < 88 ? END_NEVER : dice < 94 ? END_UNKNOWN : END_TWICE;
}

void business_draw(const struct item *item, struct chance *chance)
{
	struct business *business = business_of(item);

	*business = (struct business){
		.wish = chance_percent(chance, 70) ? LOCAL_COMMITTED : LOCAL_ROLLED_BACK,
		.local_us = chance_percent(chance, 88) ? chance_between(chance, 0, 20000) : chance_between(chance, 500000, 8000000),
		.end = draw_end(chance),
		.patience_us = chance_between(chance, 2000000, 8000000),
	};
	if (chance_percent(chance, 4))
		business->wish = LOCAL_OPEN;
	if (chance_percent(chance, 20))
		business->silences = (int)chance_between(chance, 1, 2);
	if (chance_percent(chance, 30))
		business->unknowns = (int)(chance_percent(chance, 40) ? 12 : chance_between(chance, 1, 3));
	business->answer_lost = chance_percent(chance, 4);
	business->contradicts = chance_percent(chance, 60) && !producer_group_is_honest(item->group);
}

void business_decide(struct item *item)
{
	if (item->local == LOCAL_OPEN)
		item->local = business_of(item)->wish;
}

enum record_outcome business_truth(const struct item *item)
{
	return item->local == LOCAL_COMMITTED ? OUTCOME_COMMIT : item->local == LOCAL_ROLLED_BACK ? OUTCOME_ROLLBACK : 0;
}

enum record_outcome business_check(struct item *item, bool *silent)
{
	struct business *business = business_of(item);

	*silent = false;
	if (!world.truthful && business->silences > 0) {
		business->silences--;
		*silent = true;
		return 0;
	}
	if (!world.truthful && business->unknowns > 0) {
		business->unknowns--;
		return 0;
	}
	if (item->local == LOCAL_OPEN)
		item->local = LOCAL_ROLLED_BACK; /* Who comes later loses. */
	if (!world.truthful && business->contradicts) {
		fault_seen(FAULT_CONTRADICTION);
		return business_truth(item) == OUTCOME_COMMIT ? OUTCOME_ROLLBACK : OUTCOME_COMMIT;
	}
	return business_truth(item);
}

void business_be_truthful(void)
{
	world.truthful = true;
}

bool business_is_truthful(void)
{
	return world.truthful;
}
