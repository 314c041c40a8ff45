#include "lib/wire/filter.h"

#include "lib/wire/properties.h"

int32_t tag_hash(struct span tag)
{
	return java_string_hash(tag);
}

static struct span trim(struct span text)
{
	while (text.size > 0 && text.data[0] <= ' ') {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && text.data[text.size - 1] <= ' ')
		text.size--;
	return text;
}

struct span tag_expression_next(struct span *rest)
{
	size_t end = 0;

	while (end < rest->size && !(rest->data[end] == '|' && end + 1 < rest->size && rest->data[end + 1] == '|'))
		end++;
	struct span tag = { rest->data, end };
	size_t used = end < rest->size ? end + 2 : end;
	*rest = (struct span){ rest->data + used, rest->size - used };
	return trim(tag);
}

static enum status add_hash(struct tag_filter *filter, int32_t hash, struct errinfo *err)
{
	uint32_t at = 0;

	while (at < filter->count && filter->hashes[at] < hash)
		at++;
	if (at < filter->count && filter->hashes[at] == hash)
		return ST_OK;
	if (filter->count == TAG_FILTER_TAGS_MAX)
		return errinfo_set(err, ST_TOOBIG, "the subscription names more than %d tags", TAG_FILTER_TAGS_MAX);
	memmove(&filter->hashes[at + 1], &filter->hashes[at], (filter->count - at) * sizeof(filter->hashes[0]));
	filter->hashes[at] = hash;
	filter->count++;
	return ST_OK;
}

enum status tag_filter_parse(struct span expression, struct tag_filter *out, struct errinfo *err)
{
	*out = (struct tag_filter){ .count = 0 };
	if (expression.size == 0 || span_is(expression, "*"))
		return ST_OK;
	while (expression.size > 0) {
		struct span tag = tag_expression_next(&expression);

		if (tag.size == 0)
			continue;
		enum status status = add_hash(out, tag_hash(tag), err);
		if (status != ST_OK)
			return status;
	}
	if (out->count == 0)
		return errinfo_set(err, ST_INVALID, "the subscription expression names no tag");
	return ST_OK;
}

bool tag_filter_equal(const struct tag_filter *a, const struct tag_filter *b)
{
	return a->count == b->count && memcmp(a->hashes, b->hashes, a->count * sizeof(a->hashes[0])) == 0;
}
