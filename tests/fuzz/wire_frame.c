/* A stream of bytes through frame_scan and command_decode, as a connection would do it. */
#include <stdlib.h>

#include "lib/wire/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct command_scratch scratch;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { data, size };
	struct command command;
	struct errinfo err;
	size_t frame_size;
	const char *reason;

	while (frame_scan(rest, 1 << 20, &frame_size, &reason) == FRAME_COMPLETE) {
		/* A copy of its own, so that reading past the frame is seen. */
		uint8_t *frame = malloc(frame_size);

		if (frame == NULL || frame_size > rest.size)
			abort();
		memcpy(frame, rest.data, frame_size);
		if (command_decode((struct span){ frame, frame_size }, &scratch, &command, &err) == ST_OK) {
			struct buffer again;

			/* What decodes can be answered. */
			buffer_init(&again, 0);
			if (!command_answer(&again, &command, RESP_SYSTEM_ERROR, command.remark))
				abort();
			buffer_deinit(&again);
		}
		free(frame);
		rest = (struct span){ rest.data + frame_size, rest.size - frame_size };
	}
	return 0;
}
