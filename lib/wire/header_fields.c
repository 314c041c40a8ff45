#include "lib/wire/header_fields.h"

#include <assert.h>
#include <strings.h>

static bool is_field(const struct header_field *field, struct span name)
{
	return field->name_size == name.size && memcmp(field->name, name.data, name.size) == 0;
}

static int find_field(const struct header_spec *spec, struct span name)
{
	if (name.size == 0)
		return -1;
	if (spec->candidate != NULL) {
		int index = spec->candidate(name);

		return index >= 0 && is_field(&spec->fields[index], name) ? index : -1;
	}
	for (uint32_t i = 0; i < spec->count; i++) {
		if (is_field(&spec->fields[i], name))
			return (int)i;
	}
	return -1;
}

/* Most numbers are short; those need no overflow checks. */
static bool parse_number(struct span text, int64_t *out)
{
	if (text.size > 18 || text.data[0] == '-')
		return span_to_i64(text, out) == ST_OK;
	int64_t value = 0;

	for (size_t i = 0; i < text.size; i++) {
		unsigned digit = (unsigned)text.data[i] - '0';

		if (digit > 9)
			return false;
		value = value * 10 + (int64_t)digit;
	}
	*out = value;
	return true;
}

static bool store(const struct header_field *field, struct span value, void *out)
{
	uint8_t *member = (uint8_t *)out + field->offset;
	int64_t number;

	switch ((enum header_kind)field->kind) {
	case HEADER_TEXT: memcpy(member, &value, sizeof(value)); return true;
	case HEADER_I64:
		if (!parse_number(value, &number))
			return false;
		memcpy(member, &number, sizeof(number));
		return true;
	case HEADER_I32: {
		if (!parse_number(value, &number) || number < INT32_MIN || number > INT32_MAX)
			return false;
		int32_t narrow = (int32_t)number;
		memcpy(member, &narrow, sizeof(narrow));
		return true;
	}
	case HEADER_BOOL: {
		bool is_true = value.size == 4 && strncasecmp((const char *)value.data, "true", 4) == 0;
		memcpy(member, &is_true, sizeof(is_true));
		return true;
	}
	}
	return false;
}

static enum status bad_field(const struct command *command, const char *name, struct span value, struct errinfo *err)
{
	int shown = (int)(value.size < 40 ? value.size : 40);

	return errinfo_set(err, ST_INVALID, "%s: field %s is not a number in range: \"%.*s\"",
			   command_name(command), name, shown, (const char *)value.data);
}

static enum status check_mandatory(const struct command *command, const struct header_spec *spec, uint32_t seen,
				   struct errinfo *err)
{
	for (uint32_t i = 0; i < spec->count; i++) {
		if ((spec->fields[i].bits & HEADER_MANDATORY) != 0 && (seen & 1u << i) == 0)
			return errinfo_set(err, ST_INVALID, "%s: field %s is missing",
					   command_name(command), spec->fields[i].name);
	}
	return ST_OK;
}

enum status header_decode(const struct command *command, const struct header_spec *spec, void *out,
			  struct errinfo *err)
{
	uint32_t seen = 0;

	assert(spec->count <= 32);
	memcpy(out, spec->defaults, spec->size);
	for (uint32_t i = 0; i < command->field_count; i++) {
		int index = find_field(spec, command->fields[i].name);

		/* An empty value is what Java's binary form makes of null: absent. */
		if (index < 0 || command->fields[i].value.size == 0)
			continue;
		const struct header_field *field = &spec->fields[index];
		if (!store(field, command->fields[i].value, out))
			return bad_field(command, field->name, command->fields[i].value, err);
		if ((field->bits & HEADER_PRESENCE) != 0)
			((bool *)out)[field->offset + 1] = true;
		seen |= 1u << index;
	}
	return check_mandatory(command, spec, seen, err);
}

static struct span field_name(const struct header_field *field)
{
	return (struct span){ (const uint8_t *)field->name, field->name_size };
}

static void encode_number(struct encoder *encoder, const struct header_field *field, int64_t value, int64_t def)
{
	if ((field->bits & HEADER_OMIT_DEFAULT) == 0 || value != def)
		command_put_named_i64(encoder, field_name(field), value);
}

void header_encode(struct encoder *encoder, const struct header_spec *spec, const void *header)
{
	for (uint32_t i = 0; i < spec->count; i++) {
		const struct header_field *field = &spec->fields[i];
		const uint8_t *member = (const uint8_t *)header + field->offset;
		const uint8_t *def = (const uint8_t *)spec->defaults + field->offset;

		switch ((enum header_kind)field->kind) {
		case HEADER_TEXT: {
			struct span value;

			memcpy(&value, member, sizeof(value));
			if (value.size > 0)
				command_put_named(encoder, field_name(field), value);
			break;
		}
		case HEADER_I64: {
			int64_t value, def_value;

			memcpy(&value, member, sizeof(value));
			memcpy(&def_value, def, sizeof(def_value));
			encode_number(encoder, field, value, def_value);
			break;
		}
		case HEADER_I32: {
			int32_t value, def_value;

			memcpy(&value, member, sizeof(value));
			memcpy(&def_value, def, sizeof(def_value));
			encode_number(encoder, field, value, def_value);
			break;
		}
		case HEADER_BOOL:
			if ((field->bits & HEADER_PRESENCE) != 0 && !member[1])
				break;
			if ((field->bits & HEADER_OMIT_DEFAULT) == 0 || *member != *def)
				command_put_bool(encoder, field->name, *member != 0);
			break;
		}
	}
}
