/* One request or response of the remoting protocol: decoding and encoding of the command header, JSON and binary.
 *
 * Decoding is the hottest parser of foreign bytes: one pass over the flat JSON object, no allocation, values borrowed
 * from the frame, or from the caller's scratch where they hold escapes. It accepts what RocketMQ's peers send: any key
 * order, unknown keys, numbers and booleans as field values, null as absent. Encoding writes straight into an output
 * buffer; field values are always JSON strings, because the Go and C++ clients accept nothing else.
 * Threads: pure; a scratch and a buffer belong to one thread. */
#ifndef ESCROW_WIRE_COMMAND_H
#define ESCROW_WIRE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/codes.h"
#include "lib/wire/frame.h"

enum { COMMAND_FIELDS_MAX = 64, COMMAND_DEPTH_MAX = 32 };

struct command_field {
	struct span name;
	struct span value;
};

struct command {
	int32_t code;
	int32_t language; /* LanguageCode ordinal; LANGUAGE_OTHER if unknown. */
	int32_t version;
	int32_t opaque;
	int32_t flag;
	uint8_t serialize_type;
	struct span remark;
	struct span body;
	uint32_t field_count;
	struct command_field fields[COMMAND_FIELDS_MAX];
};

/* Memory for unescaped text; one header never needs more. */
struct command_scratch {
	uint8_t bytes[FRAME_HEADER_MAX + 16];
};

/* Decodes a complete frame (as frame_scan found it). The result borrows from `frame` and `scratch`.
 * ST_INVALID with a text made for a log line; the connection is to be closed then. */
enum status command_decode(struct span frame, struct command_scratch *scratch, struct command *out,
			   struct errinfo *err) MUST_USE;

/* The value of a field; {NULL, 0} if absent. The last one wins. */
struct span command_field(const struct command *command, const char *name);
/* Typed reading with an error that names the field. The _or forms take a default for an absent field. */
enum status command_field_i64(const struct command *command, const char *name, int64_t *out,
			      struct errinfo *err) MUST_USE;
enum status command_field_i32(const struct command *command, const char *name, int32_t *out,
			      struct errinfo *err) MUST_USE;
enum status command_field_i64_or(const struct command *command, const char *name, int64_t def, int64_t *out,
				 struct errinfo *err) MUST_USE;
enum status command_field_i32_or(const struct command *command, const char *name, int32_t def, int32_t *out,
				 struct errinfo *err) MUST_USE;
bool command_field_bool(const struct command *command, const char *name, bool def);
/* A mandatory text field. ST_INVALID if absent or empty. */
enum status command_field_text(const struct command *command, const char *name, struct span *out,
			       struct errinfo *err) MUST_USE;

static inline bool command_is_response(const struct command *command)
{
	return (command->flag & COMMAND_RESPONSE) != 0;
}

/* For error texts: "END_TRANSACTION", "answer". */
static inline const char *command_name(const struct command *command)
{
	return command_is_response(command) ? "answer" : request_code_name(command->code);
}

static inline bool command_is_oneway(const struct command *command)
{
	return (command->flag & COMMAND_ONEWAY) != 0;
}

/* --- encoding --------------------------------------------------------------------------------------- */

/* A command being written at the end of a buffer. */
struct encoder {
	struct buffer *out;
	size_t frame_at;  /* Offset of the frame from out->start. */
	size_t fields_at; /* Binary: offset of the field map's length word. */
	size_t header_end;
	uint8_t serialize_type;
	bool has_fields;
	bool in_body;
};

/* Begins a command. `remark` may be empty (absent). */
void command_begin(struct encoder *encoder, struct buffer *out, uint8_t serialize_type, int32_t code, int32_t opaque,
		   int32_t flag, struct span remark);
/* Fields, between begin and body. Values may be anything; names are ours and hold nothing that JSON would escape. */
void command_put(struct encoder *encoder, const char *name, struct span value);
void command_put_named(struct encoder *encoder, struct span name, struct span value);
void command_put_named_i64(struct encoder *encoder, struct span name, int64_t value);
void command_put_text(struct encoder *encoder, const char *name, const char *value);
void command_put_i64(struct encoder *encoder, const char *name, int64_t value);
void command_put_bool(struct encoder *encoder, const char *name, bool value);
/* Ends the header; what is appended to the buffer from here on is the body. Optional. */
void command_body(struct encoder *encoder);
/* Ends the command and fills in the lengths. False if the buffer failed or a limit was exceeded: the buffer then
 * holds what it held before command_begin. */
bool command_end(struct encoder *encoder) MUST_USE;

/* A whole answer without fields or body. */
bool command_answer(struct buffer *out, const struct command *request, int32_t code, struct span remark) MUST_USE;

/* Appends `text` with JSON escapes, without quotes. */
void json_escape(struct buffer *out, struct span text);

#endif
