/* The machine behind the typed headers: a table says which field of a command is which member of a struct.
 * Internal to lib/wire. */
#ifndef ESCROW_WIRE_HEADER_FIELDS_H
#define ESCROW_WIRE_HEADER_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/wire/command.h"

enum header_kind { HEADER_TEXT, HEADER_I32, HEADER_I64, HEADER_BOOL };

enum {
	HEADER_MANDATORY = 1,
	HEADER_OMIT_DEFAULT = 2, /* Not written while it holds its default. Texts: not written while empty, always. */
	HEADER_PRESENCE = 4,     /* The bool right after this bool member becomes true when the field is there. */
};

struct header_field {
	const char *name;
	uint8_t name_size;
	uint8_t kind;
	uint8_t bits;
	uint16_t offset; /* Of the member. */
};

#define HEADER_FIELD(type, member, name, kind, bits) \
	{ name, sizeof(name) - 1, kind, bits, (uint16_t)offsetof(type, member) }

struct header_spec {
	const struct header_field *fields;
	uint32_t count; /* At most 32. */
	/* The only field that `name` can be, by its size and first byte; the caller compares. NULL: look at all. */
	int (*candidate)(struct span name);
	const void *defaults; /* A whole struct. */
	size_t size;          /* Of the struct. */
};

#define HEADER_SPEC(table, find, defaults_struct) \
	{ table, sizeof(table) / sizeof((table)[0]), find, &(defaults_struct), sizeof(defaults_struct) }

/* One pass over the command's fields. ST_INVALID names the field that is missing or bad. */
enum status header_decode(const struct command *command, const struct header_spec *spec, void *out,
			  struct errinfo *err) MUST_USE;
void header_encode(struct encoder *encoder, const struct header_spec *spec, const void *header);

#endif
