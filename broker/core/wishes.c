#include "broker/core/wishes.h"

#include <string.h>

bool wishes_add(struct wishes *wishes, enum wisher wisher, const struct wish *wish)
{
	uint32_t count = wishes->counts[wisher];

	for (uint32_t i = 0; i < count; i++) {
		if (wishes->of[wisher][i].offset == wish->offset) {
			wishes->of[wisher][i].size = wish->size; /* More is known of it now, perhaps. */
			return true;
		}
	}
	if (count == WISHES_EACH)
		return false;
	wishes->of[wisher][count] = *wish;
	wishes->counts[wisher]++;
	return true;
}

bool wishes_take(struct wishes *wishes, struct wish *out)
{
	for (uint32_t i = 0; i < WISHERS; i++) {
		uint32_t wisher = (wishes->turn + i) % WISHERS;

		if (wishes->counts[wisher] == 0)
			continue;
		*out = wishes->of[wisher][0];
		wishes->counts[wisher]--;
		memmove(&wishes->of[wisher][0], &wishes->of[wisher][1], wishes->counts[wisher] * sizeof(*out));
		wishes->turn = wisher + 1;
		return true;
	}
	return false;
}
