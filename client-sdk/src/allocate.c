#include "client-sdk/src/allocate.h"

/* Order of Java's String.compareTo, which for the ids' ASCII is that of the bytes. */
static int compare(struct span a, struct span b)
{
	size_t size = a.size < b.size ? a.size : b.size;
	int order = size == 0 ? 0 : memcmp(a.data, b.data, size);

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

size_t allocate_averagely(size_t queue_count, const struct span *members, size_t member_count, struct span self,
			  size_t *first)
{
	size_t index = 0;
	bool present = false;

	*first = 0;
	for (size_t i = 0; i < member_count; i++) {
		int order = compare(members[i], self);

		present = present || order == 0;
		index += order < 0;
	}
	if (!present)
		return 0;
	size_t each = queue_count / member_count, extra = queue_count % member_count;
	*first = index * each + (index < extra ? index : extra);
	return each + (index < extra);
}
