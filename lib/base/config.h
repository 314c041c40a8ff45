/* Configuration from one table per program: key, type, unit, default, range, help.
 *
 * The parser, `-p` (effective values with their documentation) and the sample files under conf/ all come
 * from the table, so they cannot disagree. Files are RocketMQ's .properties dialect: `key=value`, `#` or `!`
 * comments, blanks around `=` ignored, a value may contain anything (`namesrvAddr=a:1;b:2`).
 *
 *     struct broker_config config;
 *     config_init(broker_options, count, &config);            // defaults
 *     config_parse_args(&spec, argc, argv, &config, &err);    // -c FILE, then every -o key=value, -p, -h
 *
 * A key in the `known_unused` list (RocketMQ's keys that mean nothing here) gives one warning; any other
 * unknown key is an error that names file and line. Threads: none; parse at start. */
#ifndef ESCROW_BASE_CONFIG_H
#define ESCROW_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/status.h"

enum { CONFIG_TEXT_SIZE = 512 }; /* Every text option is a char[CONFIG_TEXT_SIZE], NUL included. */

enum config_type {
	CONFIG_BOOL, /* bool; "true" or "false" */
	CONFIG_I64,  /* int64_t within [min, max] */
	CONFIG_TEXT, /* char[CONFIG_TEXT_SIZE] */
	CONFIG_ENUM, /* int; index into `choices` */
};

struct config_option {
	const char *key;
	enum config_type type;
	size_t offset;        /* Of the field in the program's config struct. */
	const char *def;      /* Default, as text. */
	const char *unit;     /* "ms", "bytes", ... or NULL. */
	int64_t min, max;     /* CONFIG_I64 only. */
	const char *choices;  /* CONFIG_ENUM only: "ASYNC_FLUSH|SYNC_FLUSH". */
	bool secret;          /* Shown as ****** */
	const char *help;     /* One or two sentences. */
};

struct config_spec {
	const char *program;
	const struct config_option *options;
	size_t option_count;
	const char *const *known_unused; /* NULL-terminated list of RocketMQ keys accepted with a warning; may be NULL. */
};

enum config_action { CONFIG_RUN, CONFIG_EXIT_OK }; /* EXIT_OK after -p or -h. */

/* Sets every field to its default. A bad default is our bug and aborts. */
void config_init(const struct config_spec *spec, void *config);
/* One `key` = `value`. `where` ("conf/broker.conf:12", "-o") goes into the error text. */
enum status config_set(const struct config_spec *spec, void *config, const char *key, const char *value,
		       const char *where, struct errinfo *err) MUST_USE;
enum status config_load_file(const struct config_spec *spec, void *config, const char *path,
			     struct errinfo *err) MUST_USE;
/* Handles -c FILE, -o key=value (repeatable, overrides the file wherever it stands), -n ADDRS (namesrvAddr, as in
 * mqbroker), -p (print and exit), -h. */
enum status config_parse_args(const struct config_spec *spec, void *config, int argc, char **argv,
			      enum config_action *action, struct errinfo *err) MUST_USE;
/* Prints every option with its documentation and its value in `config`; the output is a valid file. */
void config_print(const struct config_spec *spec, const void *config, FILE *out);
/* The value of one option as text, as config_print shows it (secrets hidden). For "get config" requests. */
void config_value_text(const struct config_option *option, const void *config, char *out, size_t out_size);

#endif
