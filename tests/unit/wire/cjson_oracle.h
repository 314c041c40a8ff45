/* Does the header scanner read JSON as cJSON does? Used by the random unit test and by the fuzz target.
 *
 * Two checks on any bytes that cJSON takes for an object: if the scanner takes them too, both must see the same; and
 * the object printed anew must be taken by the scanner, within its limits, and be read the same. */
#ifndef ESCROW_TESTS_CJSON_ORACLE_H
#define ESCROW_TESTS_CJSON_ORACLE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/command.h"
#include "lib/wire/languages.h"

static struct command_scratch oracle_scratch;

static inline enum status oracle_decode(struct span header, struct command *out)
{
	struct buffer frame;
	struct errinfo err;
	static struct buffer kept; /* The result borrows from it until the next call. */

	buffer_deinit(&kept);
	buffer_init(&frame, 0);
	buffer_put_u32(&frame, (uint32_t)header.size + 4);
	buffer_put_u32(&frame, (uint32_t)header.size);
	buffer_append_span(&frame, header);
	kept = frame;
	return command_decode(buffer_span(&kept), &oracle_scratch, out, &err);
}

static inline bool oracle_number_agrees(const cJSON *item, struct span text)
{
	char copy[64];

	if (span_to_cstr(text, copy, sizeof(copy)) != ST_OK)
		return text.size >= sizeof(copy);
	return strtod(copy, NULL) == item->valuedouble;
}

static inline bool oracle_value_agrees(const cJSON *item, struct span text)
{
	if (cJSON_IsString(item))
		return span_is(text, item->valuestring);
	if (cJSON_IsBool(item))
		return span_is(text, cJSON_IsTrue(item) ? "true" : "false");
	return cJSON_IsNumber(item) && oracle_number_agrees(item, text);
}

static inline bool oracle_fields_agree(const cJSON *root, const struct command *command)
{
	const cJSON *member, *item;
	uint32_t at = 0;

	cJSON_ArrayForEach(member, root) {
		if (strcmp(member->string, "extFields") != 0 || !cJSON_IsObject(member))
			continue;
		cJSON_ArrayForEach(item, member) {
			if (cJSON_IsNull(item) || cJSON_IsObject(item) || cJSON_IsArray(item))
				continue;
			if (at == command->field_count || !span_is(command->fields[at].name, item->string) ||
			    !oracle_value_agrees(item, command->fields[at].value))
				return false;
			at++;
		}
	}
	return at == command->field_count;
}

static inline int32_t oracle_integer(const cJSON *root, const char *name, int32_t def)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, root) {
		if (strcmp(member->string, name) != 0 || cJSON_IsNull(member))
			continue;
		if (cJSON_IsNumber(member))
			def = member->valueint;
		else if (cJSON_IsString(member))
			(void)!span_to_i32(span_of(member->valuestring), &def);
	}
	return def;
}

static inline bool oracle_command_agrees(const cJSON *root, const struct command *command)
{
	const cJSON *member;
	struct span remark = SPAN_NONE;

	cJSON_ArrayForEach(member, root) {
		if (strcmp(member->string, "remark") == 0 && cJSON_IsString(member))
			remark = span_of(member->valuestring);
	}
	return command->code == oracle_integer(root, "code", -1) &&
	       command->opaque == oracle_integer(root, "opaque", 0) &&
	       command->flag == oracle_integer(root, "flag", 0) &&
	       command->version == oracle_integer(root, "version", 0) && span_equal(remark, command->remark) &&
	       oracle_fields_agree(root, command);
}

static inline uint32_t oracle_depth(const char *printed)
{
	uint32_t depth = 0, deepest = 0;

	for (; *printed != '\0'; printed++) { /* Brackets in texts count too: only more careful. */
		if (*printed == '{' || *printed == '[')
			deepest = ++depth > deepest ? depth : deepest;
		else if ((*printed == '}' || *printed == ']') && depth > 0)
			depth--;
	}
	return deepest;
}

/* Whether the scanner is bound to take the object. */
static inline bool oracle_must_accept(const cJSON *root, const char *printed)
{
	static const char *const numbers[] = { "code", "opaque", "flag", "version" };
	const cJSON *member;
	bool has_code = false;
	int field_count = 0;

	cJSON_ArrayForEach(member, root) {
		for (size_t i = 0; i < 4; i++) {
			if (strcmp(member->string, numbers[i]) != 0)
				continue;
			if (!cJSON_IsNumber(member) || member->valuedouble != (double)member->valueint)
				return false;
			has_code = has_code || i == 0;
		}
		if (strcmp(member->string, "extFields") == 0)
			field_count += cJSON_GetArraySize(member);
	}
	return has_code && oracle_integer(root, "code", -1) >= 0 && field_count <= COMMAND_FIELDS_MAX &&
	       oracle_depth(printed) < COMMAND_DEPTH_MAX && strlen(printed) < FRAME_HEADER_MAX;
}

/* NULL if the two agree about `header`, else what is wrong. */
static inline const char *oracle_check(struct span header)
{
	const char *end = NULL, *wrong = NULL;
	struct command command;
	cJSON *root = cJSON_ParseWithLengthOpts((const char *)header.data, header.size, &end, false);

	if (!cJSON_IsObject(root) || header.size >= FRAME_HEADER_MAX) {
		cJSON_Delete(root);
		return NULL;
	}
	/* cJSON cuts texts at a NUL; such input is only checked in its printed form. */
	bool has_nul = memchr(header.data, 0, header.size) != NULL ||
		       memmem(header.data, header.size, "\\u0000", 6) != NULL;
	if (!has_nul && oracle_decode(header, &command) == ST_OK && !oracle_command_agrees(root, &command))
		wrong = "the input is read differently";
	char *printed = cJSON_PrintUnformatted(root);
	/* Read again: printing rounds numbers, and makes null of infinite ones. */
	cJSON *reread = printed == NULL ? NULL : cJSON_Parse(printed);
	if (wrong == NULL && cJSON_IsObject(reread) && oracle_must_accept(reread, printed)) {
		if (oracle_decode(span_of(printed), &command) != ST_OK)
			wrong = "the printed form is refused";
		else if (!oracle_command_agrees(reread, &command))
			wrong = "the printed form is read differently";
	}
	cJSON_Delete(reread);
	cJSON_free(printed);
	cJSON_Delete(root);
	return wrong;
}

#endif
