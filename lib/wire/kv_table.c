/* KVTable: {"table":{"k":"v"}}. See body_route.h. */
#include <cjson/cJSON.h>

#include "lib/wire/body_route.h"

void kv_table_begin(struct json_writer *w, struct buffer *out)
{
	*w = json_writer_of(out);
	json_open(w, '{');
	json_key(w, "table");
	json_open(w, '{');
}

void kv_table_put(struct json_writer *w, struct span key, struct span value)
{
	json_key_span(w, key);
	json_put_text(w, value);
}

void kv_table_end(struct json_writer *w)
{
	json_close(w, '}');
	json_close(w, '}');
}

enum status kv_table_decode(struct span body, struct kv_table *out, struct errinfo *err)
{
	*out = (struct kv_table){ .count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "KV table");
	const struct cJSON *item, *table = json_member(out->doc.root, "table");
	struct kv_pair *pairs = json_doc_alloc(&out->doc, json_count(table), sizeof(*pairs));

	if (pairs == NULL) {
		kv_table_free(out);
		return errinfo_set(err, ST_NOMEM, "KV table: out of memory");
	}
	out->pairs = pairs;
	cJSON_ArrayForEach(item, table) {
		if (item->string != NULL && cJSON_IsString(item))
			pairs[out->count++] = (struct kv_pair){ span_of(item->string), json_text(item) };
	}
	return ST_OK;
}

void kv_table_free(struct kv_table *table)
{
	json_doc_free(&table->doc);
	*table = (struct kv_table){ .count = 0 };
}
