/* Message records and batch bodies. A record that decodes must encode to the same bytes (but for its checksum). */
#include <stdlib.h>

#include "lib/wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(struct span record, const struct message *message)
{
	struct errinfo err;
	uint8_t *again = malloc(message->size);

	if (again == NULL || message_check_limits(message, &err) != ST_OK)
		abort();
	/* A short topic in a V2 record would become V1. */
	if (message_size(message) == message->size) {
		(void)message_encode(message, again);
		memcpy(again + 8, record.data + 8, 4);
		if (memcmp(again, record.data, message->size) != 0)
			abort();
		message_patch_prepared_offset(again, 1);
		message_patch_store_timestamp(again, 1);
		message_patch_sys_flag(again, 0);
		struct message patched;
		if (message_decode((struct span){ again, message->size }, &patched, &err) != ST_OK ||
		    patched.prepared_transaction_offset != 1 || patched.store_timestamp != 1 ||
		    !span_equal(patched.body, message->body))
			abort();
	}
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { data, size }, record = rest;
	struct message message;
	struct batch_message batch;
	struct errinfo err;

	while (message_next(&rest, &message, &err) == ST_OK) {
		check_record(record, &message);
		record = rest;
	}
	rest = (struct span){ data, size };
	while (batch_next(&rest, &batch, &err) == ST_OK) {
		if (batch.body.size + batch.properties.size > size)
			abort();
	}
	return 0;
}
