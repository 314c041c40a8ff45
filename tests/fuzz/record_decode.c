/* The first byte chooses a record kind, the rest is its payload. What decodes must encode to the same bytes: there is
 * one way to write a record, and no reader looks beyond its payload. */
#include <string.h>

#include "tests/unit/record/record_codecs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *again = NULL;
	size_t again_size = 0;
	struct errinfo err;

	if (size == 0)
		return 0;
	/* A copy of its own, so that reading past its end is seen. */
	uint8_t *payload = malloc(size > 1 ? size - 1 : 1);
	if (payload == NULL)
		abort();
	memcpy(payload, data + 1, size - 1);
	enum status status = record_codecs[data[0] % RECORD_CODEC_COUNT].again((struct span){ payload, size - 1 }, &again,
									      &again_size, &err);
	if (status == ST_OK && (again_size != size - 1 || memcmp(again, payload, again_size) != 0))
		abort();
	if (status != ST_OK && status != ST_CORRUPT && status != ST_VERSION)
		abort();
	free(again);
	free(payload);
	return 0;
}
