#include "broker/core/selection.h"

#include "broker/core/expression.h"
#include "lib/filter/sql_filter.h"
#include "lib/wire/properties.h"

static bool is_sql(const struct pull_request *pull)
{
	return pull->expression != NULL && pull->expression->sql;
}

enum fit selection_by_hash(const struct pull_request *pull, int32_t tag_hash)
{
	if (is_sql(pull))
		return FIT_LOOK;
	if (pull->filter.count == 0)
		return FIT_YES;
	if (tag_hash == TAG_HASH_MANY)
		return FIT_LOOK;
	return tag_filter_match(&pull->filter, tag_hash) ? FIT_YES : FIT_NO;
}

struct message_tags message_tags_of(struct span properties)
{
	return (struct message_tags){ property_get(properties, PROPERTY_TAGS), property_get(properties, PROPERTY_ESCROW_TAGS),
				      MESSAGE_TAGS_MAX };
}

bool message_tags_next(struct message_tags *tags, struct span *tag_out)
{
	*tag_out = tags->first;
	tags->first = SPAN_NONE;
	while (tag_out->size == 0 && tags->rest.size > 0 && tags->left-- > 0)
		*tag_out = tag_expression_next(&tags->rest);
	return tag_out->size > 0;
}

static bool names_tag(const struct pull_request *pull, struct span tag)
{
	struct span rest = expression_text(pull->expression);

	if (!tag_filter_match(&pull->filter, tag_hash(tag)))
		return false;
	if (rest.size == 0)
		return true;
	while (rest.size > 0) {
		if (span_equal(tag_expression_next(&rest), tag))
			return true;
	}
	return false;
}

bool selection_by_properties(const struct pull_request *pull, struct span properties, struct span *tag_out)
{
	struct message_tags tags;
	struct span tag;

	*tag_out = SPAN_NONE;
	if (is_sql(pull))
		return pull->expression->program != NULL && sql_filter_match(pull->expression->program, properties);
	tags = message_tags_of(properties);
	bool as_it_is = tags.first.size > 0;
	while (message_tags_next(&tags, &tag)) {
		if (names_tag(pull, tag)) {
			if (!as_it_is)
				*tag_out = tag;
			return true;
		}
		as_it_is = false;
	}
	return false;
}

size_t selection_cost(const struct pull_request *pull, struct span properties)
{
	size_t steps = is_sql(pull) && pull->expression->program != NULL ? sql_filter_steps(pull->expression->program) : 0;

	return 128 + properties.size * (1 + steps / 16);
}
