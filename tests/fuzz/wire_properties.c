/* Property strings, ids, names, tag expressions: small texts that clients make up. */
#include <stdlib.h>

#include "lib/wire/filter.h"
#include "lib/wire/msgid.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"
#include "lib/wire/recall_handle.h"

static void check_recall_handle(struct span text)
{
	uint8_t raw[RECALL_HANDLE_RAW_MAX], raw_again[RECALL_HANDLE_RAW_MAX];
	struct recall_handle handle, again;
	struct buffer out;

	if (recall_handle_parse(text, raw, &handle, NULL) != ST_OK)
		return;
	buffer_init(&out, 0);
	if (recall_handle_append(&out, &handle) == ST_OK &&
	    (recall_handle_parse(buffer_span(&out), raw_again, &again, NULL) != ST_OK || !span_equal(again.topic, handle.topic) ||
	     !span_equal(again.broker_name, handle.broker_name) || again.timestamp_ms != handle.timestamp_ms ||
	     !span_equal(again.unique_key, handle.unique_key)))
		abort();
	buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_properties(struct span properties)
{
	static const char *const without[] = { "TRAN_MSG", "REAL_TOPIC", NULL };
	struct known_properties known;
	struct property property;
	struct span rest = properties;
	struct buffer out;

	properties_scan(properties, &known);
	if (!span_equal(known.tags, property_get(properties, PROPERTY_TAGS)) ||
	    !span_equal(known.uniq_key, property_get(properties, PROPERTY_UNIQ_KEY)))
		abort();
	while (property_next(&rest, &property)) {
		if (property.name.size == 0 || property.value.size == 0)
			abort();
	}
	buffer_init(&out, 0);
	properties_copy(&out, properties, without);
	property_put(&out, "LAST", properties);
	if (property_get(buffer_span(&out), "TRAN_MSG").data != NULL)
		abort();
	if (!span_equal(property_get(buffer_span(&out), PROPERTY_TAGS), known.tags))
		abort();
	if (properties.size > 0 && property_get(buffer_span(&out), "LAST").size != properties.size)
		abort();
	buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { data, size };
	struct tag_filter filter;
	struct errinfo err;
	struct host host;
	int64_t offset;
	uint8_t topic[LONG_TOPIC_NAME_MAX];

	check_properties(text);
	check_recall_handle(text);
	(void)java_string_hash(text);
	if (topic_name_check(text, &err) == ST_OK && size > LONG_TOPIC_NAME_MAX)
		abort();
	if (group_name_check(text, &err) == ST_OK && retry_topic_name(text, topic).data != NULL &&
	    !span_equal(topic_group(retry_topic_name(text, topic)), text))
		abort();
	if (tag_filter_parse(text, &filter, &err) == ST_OK) {
		for (uint32_t i = 0; i < filter.count; i++) {
			if (!tag_filter_match(&filter, filter.hashes[i]))
				abort();
		}
	}
	if (offset_msg_id_decode(text, &host, &offset) == ST_OK) {
		char again[MSGID_TEXT_SIZE];

		if (offset_msg_id_encode(&host, offset, again) != size)
			abort();
	}
	return 0;
}
