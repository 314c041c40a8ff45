/* Options that change while a program runs: taking them from a properties text, and telling what they are.
 *
 * A text is "key=value" lines, with empty ones and comments, as tools send it. It is taken in whole or not at all: changes go
 * into a copy of the config, which the caller puts in place when everything else about it is right, too.
 * Threads: pure. */
#ifndef ESCROW_BASE_CONFIG_CHANGE_H
#define ESCROW_BASE_CONFIG_CHANGE_H

#include "lib/base/bytes.h"
#include "lib/base/config.h"

/* `changeable` lists the keys that may be in the text, NULL at the end. ST_DENIED: another key, ST_INVALID: a bad line or
 * value, each with a remark; `config` is half-changed then. */
enum status config_change(const struct config_spec *spec, const char *const *changeable, void *config, struct span text,
			  struct errinfo *err) MUST_USE;
/* A log line for each option that differs. */
void config_log_changes(const struct config_spec *spec, const void *before, const void *after);
/* Appends "key=value" lines of all options, secrets hidden. */
void config_put_values(const struct config_spec *spec, const void *config, struct buffer *out);

#endif
