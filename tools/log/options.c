/* See options.h. */
#include "tools/log/options.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/bytes.h"

static enum status bad(struct errinfo *err, const char *what, const char *argument)
{
	return errinfo_set(err, ST_INVALID, "%s%s%s (escrow-log --help shows the usage)", what, argument ? " " : "",
			   argument ? argument : "");
}

/* Digits at *text, at most `most` of them; moves on. -1 when there is none. */
static int digits(const char **text, int most)
{
	int value = 0, count = 0;

	for (; count < most && **text >= '0' && **text <= '9'; count++)
		value = value * 10 + *(*text)++ - '0';
	return count == 0 ? -1 : value;
}

static bool take(const char **text, const char *any)
{
	if (**text == '\0' || strchr(any, **text) == NULL)
		return false;
	(*text)++;
	return true;
}

/* "[T ]11:20[:39[.123]]" */
static bool parse_clock(const char **at, struct tm *tm, int *ms)
{
	if (!take(at, "T "))
		return true;
	tm->tm_hour = digits(at, 2);
	if (!take(at, ":"))
		return false;
	tm->tm_min = digits(at, 2);
	if (take(at, ":"))
		tm->tm_sec = digits(at, 2);
	if (take(at, ".")) {
		const char *from = *at;

		*ms = digits(at, 3);
		for (long count = *at - from; count < 3; count++)
			*ms *= 10;
	}
	return tm->tm_hour >= 0 && tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60 && tm->tm_sec >= 0 &&
	       tm->tm_sec < 60 && *ms >= 0;
}

enum status time_parse(const char *text, int64_t *ms_out)
{
	const char *at = text;
	struct tm tm = { 0 };
	int ms = 0;

	assert(text != NULL);
	if (span_to_i64(span_of(text), ms_out) == ST_OK)
		return *ms_out >= 0 ? ST_OK : ST_INVALID;
	tm.tm_year = digits(&at, 4) - 1900;
	bool good = take(&at, "-");
	tm.tm_mon = digits(&at, 2) - 1;
	good = good && take(&at, "-");
	tm.tm_mday = digits(&at, 2);
	good = good && tm.tm_year >= 70 && tm.tm_mon >= 0 && tm.tm_mon < 12 && tm.tm_mday >= 1 && tm.tm_mday <= 31 &&
	       parse_clock(&at, &tm, &ms);
	take(&at, "Z");
	int day = tm.tm_mday;
	time_t seconds = timegm(&tm);
	if (!good || *at != '\0' || tm.tm_mday != day) /* There is no 31st of June. */
		return ST_INVALID;
	*ms_out = (int64_t)seconds * 1000 + ms;
	return ST_OK;
}

static enum status set_value(const struct option *option, const char *text, struct errinfo *err)
{
	int64_t number = 0;
	char what[64];

	switch (option->type) {
	case OPTION_TEXT:
		*(const char **)option->out = text;
		return ST_OK;
	case OPTION_OFFSET:
	case OPTION_COUNT:
		snprintf(what, sizeof(what), "%s: not %s:", option->name, option->type == OPTION_OFFSET ? "an offset" : "a count");
		if (span_to_i64(span_of(text), &number) != ST_OK || number < (option->type == OPTION_COUNT))
			return bad(err, what, text);
		*(uint64_t *)option->out = (uint64_t)number;
		return ST_OK;
	case OPTION_TIME:
		snprintf(what, sizeof(what), "%s: not a time like 2026-11-25T11:20:39 (UTC):", option->name);
		if (time_parse(text, option->out) != ST_OK)
			return bad(err, what, text);
		return ST_OK;
	case OPTION_FLAG: break;
	}
	return ST_OK;
}

static const struct option *find(const struct option *options, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	return NULL;
}

enum status options_parse(int argc, char **argv, const struct option *options, size_t option_count,
			  const char *const *path_names, const char **paths, size_t path_count, struct errinfo *err)
{
	size_t found = 0;

	for (int i = 0; i < argc; i++) {
		if (argv[i][0] != '-') {
			if (found == path_count)
				return bad(err, "one argument too many:", argv[i]);
			paths[found++] = argv[i];
			continue;
		}
		const struct option *option = find(options, option_count, argv[i]);
		if (option == NULL)
			return bad(err, "unknown option", argv[i]);
		if (option->type == OPTION_FLAG) {
			*(bool *)option->out = true;
			continue;
		}
		if (i + 1 == argc)
			return bad(err, "a value is missing behind", argv[i]);
		enum status status = set_value(option, argv[++i], err);
		if (status != ST_OK)
			return status;
	}
	if (found < path_count) {
		char what[64];

		snprintf(what, sizeof(what), "%s is missing", path_names[found]);
		return bad(err, what, NULL);
	}
	return ST_OK;
}

enum status options_parse_store(int argc, char **argv, const struct option *options, size_t option_count,
				const char **store_out, struct errinfo *err)
{
	static const char *const names[] = { "STORE_DIR" };

	return options_parse(argc, argv, options, option_count, names, store_out, 1, err);
}
