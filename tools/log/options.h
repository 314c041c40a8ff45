/* Arguments of subcommands, from a table: `STORE [--name value]...` in any order.
 * Threads: values. */
#ifndef ESCROW_TOOLS_LOG_OPTIONS_H
#define ESCROW_TOOLS_LOG_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

enum option_type {
	OPTION_FLAG,   /* bool: set to true */
	OPTION_TEXT,   /* const char * */
	OPTION_OFFSET, /* uint64_t: a log offset */
	OPTION_COUNT,  /* uint64_t: 1 or more */
	OPTION_TIME,   /* int64_t: ms since 1970 UTC; see time_parse */
};

struct option {
	const char *name; /* With its dashes. */
	enum option_type type;
	void *out;        /* Left alone when the option does not come. */
};

/* Takes exactly `path_count` arguments that are no options into paths[], called `path_names` in errors ("STORE_DIR").
 * ST_INVALID with a text that names the argument. */
enum status options_parse(int argc, char **argv, const struct option *options, size_t option_count,
			  const char *const *path_names, const char **paths, size_t path_count,
			  struct errinfo *err) MUST_USE;
/* For most: one path, the store. */
enum status options_parse_store(int argc, char **argv, const struct option *options, size_t option_count,
				const char **store_out, struct errinfo *err) MUST_USE;

/* "2026-11-25", "2026-11-25T11:20", "2026-11-25 11:20:39.123", with or without Z: UTC; or milliseconds since 1970. */
enum status time_parse(const char *text, int64_t *ms_out) MUST_USE;

#endif
