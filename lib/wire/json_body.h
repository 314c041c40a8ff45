/* How are JSON bodies of RocketMQ's peers read? In fastjson's dialect, within limits.
 *
 * The dialect is rewritten to plain JSON first: unquoted and numeric keys, single quotes, object literals in key
 * position (which become their text, quoted), integers that a double cannot hold (which become texts). cJSON does the
 * rest. Readers take numbers as texts and the reverse, enum ordinals, absent members.
 * Limits: size, depth, number of values; so a body cannot cost more than about 100 times its size.
 * Threads: a document belongs to one thread. */
#ifndef ESCROW_WIRE_JSON_BODY_H
#define ESCROW_WIRE_JSON_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

struct cJSON;
struct json_block;

enum { JSON_BODY_SIZE_MAX = 8 * 1024 * 1024, JSON_BODY_DEPTH_MAX = 32, JSON_BODY_VALUES_MAX = 400 * 1000 };

/* A parsed body (root may be NULL: memory only) and the memory of what is decoded from it: spans and arrays live
 * until json_doc_free. */
struct json_doc {
	struct cJSON *root;
	struct json_block *blocks;
};

/* ST_INVALID (with the reason), ST_TOOBIG or ST_NOMEM; *doc then needs no free. */
enum status json_doc_parse(struct span body, struct json_doc *doc, struct errinfo *err) MUST_USE;
void json_doc_free(struct json_doc *doc);
/* Zeroed memory that lives as long as the document; NULL when there is none. */
void *json_doc_alloc(struct json_doc *doc, size_t count, size_t size);

/* Rewrites fastjson's dialect into plain JSON at the end of `out`. Exposed for tests. */
enum status json_normalise(struct span body, struct buffer *out, struct errinfo *err) MUST_USE;

/* Members of an object, with the tolerance described above. Absent, null and of a wrong kind: `def`. */
const struct cJSON *json_member(const struct cJSON *object, const char *name);
struct span json_member_text(const struct cJSON *object, const char *name);
int64_t json_member_i64(const struct cJSON *object, const char *name, int64_t def);
int32_t json_member_i32(const struct cJSON *object, const char *name, int32_t def);
bool json_member_bool(const struct cJSON *object, const char *name, bool def);
/* An enum: the index of the text in `names` (NULL-terminated), or an ordinal below their number; else `def`. */
int32_t json_member_enum(const struct cJSON *object, const char *name, const char *const *names, int32_t def);
/* The bytes of a text value; {NULL, 0} for any other kind. */
struct span json_text(const struct cJSON *value);
size_t json_count(const struct cJSON *array_or_object);

/* --- writing ------------------------------------------------------------------------------------------ */

/* Writes JSON text straight into a buffer; commas are its own business. */
struct json_writer {
	struct buffer *out;
	bool comma;
};

static inline struct json_writer json_writer_of(struct buffer *out)
{
	return (struct json_writer){ out, false };
}
void json_open(struct json_writer *w, char bracket);  /* '{' or '[' */
void json_close(struct json_writer *w, char bracket); /* '}' or ']' */
void json_key(struct json_writer *w, const char *key);
void json_key_span(struct json_writer *w, struct span key);
/* The key of a map from integers: "0" with quotes, which every client reads, or fastjson's bare 0. */
void json_key_i64(struct json_writer *w, int64_t key, bool quoted);
/* Behind an object that is the key of a map, as RocketMQ's peers write them. */
void json_end_object_key(struct json_writer *w);
void json_put_text(struct json_writer *w, struct span value);
void json_put_i64(struct json_writer *w, int64_t value);
void json_put_bool(struct json_writer *w, bool value);
/* With four digits behind the point; what is no number becomes 0. */
void json_put_double(struct json_writer *w, double value);
/* JSON text as it stands. */
void json_put_raw(struct json_writer *w, struct span value);
/* Key and value in one. */
void json_member_put_text(struct json_writer *w, const char *key, struct span value);
void json_member_put_i64(struct json_writer *w, const char *key, int64_t value);
void json_member_put_double(struct json_writer *w, const char *key, double value);
void json_member_put_bool(struct json_writer *w, const char *key, bool value);

#endif
