/* Bodies that are a list of names: {"consumerIdList":[..]}, {"topicList":[..]}. */
#include <cjson/cJSON.h>

#include "lib/wire/body_route.h"

static enum status decode(struct span body, const char *member, struct name_list *out, struct errinfo *err)
{
	*out = (struct name_list){ .count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "%s", member);
	const struct cJSON *item, *list = json_member(out->doc.root, member);
	struct span *names = json_doc_alloc(&out->doc, json_count(list), sizeof(*names));

	if (names == NULL) {
		name_list_free(out);
		return errinfo_set(err, ST_NOMEM, "%s: out of memory", member);
	}
	out->names = names;
	cJSON_ArrayForEach(item, list) {
		struct span name = json_text(item);

		if (name.size > 0)
			names[out->count++] = name;
	}
	return ST_OK;
}

enum status consumer_list_decode(struct span body, struct name_list *out, struct errinfo *err)
{
	return decode(body, "consumerIdList", out, err);
}

enum status topic_list_decode(struct span body, struct name_list *out, struct errinfo *err)
{
	return decode(body, "topicList", out, err);
}

void name_list_free(struct name_list *list)
{
	json_doc_free(&list->doc);
	*list = (struct name_list){ .count = 0 };
}

void topic_list_encode(struct buffer *out, const struct span *topics, size_t topic_count)
{
	topic_list_encode_at(out, topics, topic_count, SPAN_NONE);
}

void topic_list_encode_at(struct buffer *out, const struct span *topics, size_t topic_count, struct span broker_addr)
{
	struct json_writer w = json_writer_of(out);

	json_open(&w, '{');
	if (broker_addr.size > 0)
		json_member_put_text(&w, "brokerAddr", broker_addr);
	json_key(&w, "topicList");
	json_open(&w, '[');
	for (size_t i = 0; i < topic_count; i++)
		json_put_text(&w, topics[i]);
	json_close(&w, ']');
	json_close(&w, '}');
}
