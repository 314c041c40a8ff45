#include "lib/wire/json_body.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <strings.h>

struct json_block {
	struct json_block *next;
	max_align_t bytes[];
};

enum status json_doc_parse(struct span body, struct json_doc *doc, struct errinfo *err)
{
	struct buffer plain;

	*doc = (struct json_doc){ NULL, NULL };
	/* An object key doubles at most; quotes around short keys come on top. */
	buffer_init(&plain, (size_t)JSON_BODY_SIZE_MAX * 4);
	enum status status = json_normalise(body, &plain, err);
	if (status == ST_OK) {
		doc->root = cJSON_ParseWithLength((const char *)plain.data + plain.start, buffer_size(&plain));
		if (doc->root == NULL)
			status = errinfo_set(err, ST_INVALID, "JSON body: a text or a number in it is malformed");
	}
	buffer_deinit(&plain);
	return status;
}

void json_doc_free(struct json_doc *doc)
{
	cJSON_Delete(doc->root);
	while (doc->blocks != NULL) {
		struct json_block *next = doc->blocks->next;

		free(doc->blocks);
		doc->blocks = next;
	}
	*doc = (struct json_doc){ NULL, NULL };
}

void *json_doc_alloc(struct json_doc *doc, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	struct json_block *block = calloc(1, sizeof(*block) + bytes + 1);
	if (block == NULL)
		return NULL;
	block->next = doc->blocks;
	doc->blocks = block;
	return block->bytes;
}

const struct cJSON *json_member(const struct cJSON *object, const char *name)
{
	const struct cJSON *member = cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;

	return cJSON_IsNull(member) ? NULL : member;
}

struct span json_text(const struct cJSON *value)
{
	return cJSON_IsString(value) ? span_of(value->valuestring) : SPAN_NONE;
}

struct span json_member_text(const struct cJSON *object, const char *name)
{
	return json_text(json_member(object, name));
}

int64_t json_member_i64(const struct cJSON *object, const char *name, int64_t def)
{
	const struct cJSON *member = json_member(object, name);
	int64_t value;

	if (cJSON_IsNumber(member)) {
		double number = member->valuedouble;

		return number >= -9e18 && number <= 9e18 ? (int64_t)number : def;
	}
	return cJSON_IsString(member) && span_to_i64(json_text(member), &value) == ST_OK ? value : def;
}

int32_t json_member_i32(const struct cJSON *object, const char *name, int32_t def)
{
	int64_t value = json_member_i64(object, name, def);

	return value >= INT32_MIN && value <= INT32_MAX ? (int32_t)value : def;
}

bool json_member_bool(const struct cJSON *object, const char *name, bool def)
{
	const struct cJSON *member = json_member(object, name);

	if (cJSON_IsBool(member))
		return cJSON_IsTrue(member);
	return cJSON_IsString(member) ? strcasecmp(member->valuestring, "true") == 0 : def;
}

int32_t json_member_enum(const struct cJSON *object, const char *name, const char *const *names, int32_t def)
{
	struct span text = json_member_text(object, name);
	int64_t ordinal = json_member_i64(object, name, -1);
	int32_t count = 0;

	for (; names[count] != NULL; count++) {
		if (text.size > 0 && span_is(text, names[count]))
			return count;
	}
	return ordinal >= 0 && ordinal < count ? (int32_t)ordinal : def;
}

size_t json_count(const struct cJSON *array_or_object)
{
	if (!cJSON_IsArray(array_or_object) && !cJSON_IsObject(array_or_object))
		return 0;
	return (size_t)cJSON_GetArraySize(array_or_object);
}
