#include "lib/wire/frame.h"

enum frame_verdict frame_scan(struct span input, uint32_t size_max, size_t *frame_size, const char **reason)
{
	*frame_size = 0;
	*reason = NULL;
	if (input.size < 4)
		return FRAME_PARTIAL;
	uint32_t length = get_u32(input.data);
	if (length < 4) {
		*reason = "frame length below 4";
		return FRAME_BAD;
	}
	if (length > size_max - 4) {
		*reason = "frame length over the limit";
		return FRAME_BAD;
	}
	*frame_size = (size_t)length + 4;
	if (input.size < FRAME_PREFIX)
		return FRAME_PARTIAL;
	if (input.data[4] > 1) {
		*reason = "unknown serialize type";
		return FRAME_BAD;
	}
	uint32_t header_size = get_u32(input.data + 4) & 0xFFFFFF;
	if (header_size > length - 4) {
		*reason = "header length over frame length";
		return FRAME_BAD;
	}
	if (header_size > FRAME_HEADER_MAX) {
		*reason = "header length over the limit";
		return FRAME_BAD;
	}
	return input.size >= *frame_size ? FRAME_COMPLETE : FRAME_PARTIAL;
}
