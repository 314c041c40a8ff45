/* See config.h. */
#include "lib/base/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/logging.h"

enum { CONFIG_LINE_SIZE = 2048 };

static const struct config_option *find_option(const struct config_spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->option_count; i++) {
		if (strcmp(spec->options[i].key, key) == 0)
			return &spec->options[i];
	}
	return NULL;
}

static bool is_known_unused(const struct config_spec *spec, const char *key)
{
	for (const char *const *name = spec->known_unused; name != NULL && *name != NULL; name++) {
		if (strcmp(*name, key) == 0)
			return true;
	}
	return false;
}

static void *field_of(void *config, const struct config_option *option)
{
	return (char *)config + option->offset;
}

static const void *const_field_of(const void *config, const struct config_option *option)
{
	return (const char *)config + option->offset;
}

/* Index of `value` in "A|B|C", or -1. */
static int choice_index(const char *choices, const char *value)
{
	size_t size = strlen(value);

	for (int index = 0;; index++) {
		size_t choice_size = strcspn(choices, "|");
		if (choice_size == size && memcmp(choices, value, size) == 0)
			return index;
		if (choices[choice_size] == '\0')
			return -1;
		choices += choice_size + 1;
	}
}

static enum status set_i64(const struct config_option *option, void *field, const char *value,
			   const char *where, struct errinfo *err)
{
	int64_t number;

	if (span_to_i64(span_of(value), &number) != ST_OK || number < option->min || number > option->max)
		return errinfo_set(err, ST_INVALID,
				   "%s: %s=%s: must be a number from %" PRId64 " to %" PRId64 "%s%s", where,
				   option->key, value, option->min, option->max, option->unit ? " " : "",
				   option->unit ? option->unit : "");
	memcpy(field, &number, sizeof(number));
	return ST_OK;
}

static enum status set_bool(const struct config_option *option, void *field, const char *value,
			    const char *where, struct errinfo *err)
{
	bool flag = strcmp(value, "true") == 0;

	if (!flag && strcmp(value, "false") != 0)
		return errinfo_set(err, ST_INVALID, "%s: %s=%s: must be true or false", where, option->key,
				   value);
	memcpy(field, &flag, sizeof(flag));
	return ST_OK;
}

static enum status set_enum(const struct config_option *option, void *field, const char *value,
			    const char *where, struct errinfo *err)
{
	int index = choice_index(option->choices, value);

	if (index < 0)
		return errinfo_set(err, ST_INVALID, "%s: %s=%s: must be one of %s", where, option->key, value,
				   option->choices);
	memcpy(field, &index, sizeof(index));
	return ST_OK;
}

static enum status set_option(const struct config_option *option, void *config, const char *value,
			      const char *where, struct errinfo *err)
{
	void *field = field_of(config, option);

	switch (option->type) {
	case CONFIG_BOOL:
		return set_bool(option, field, value, where, err);
	case CONFIG_I64:
		return set_i64(option, field, value, where, err);
	case CONFIG_ENUM:
		return set_enum(option, field, value, where, err);
	case CONFIG_TEXT:
		break;
	}
	if (strlen(value) >= CONFIG_TEXT_SIZE)
		return errinfo_set(err, ST_TOOBIG, "%s: %s: longer than %d bytes", where, option->key,
				   CONFIG_TEXT_SIZE - 1);
	strcpy(field, value);
	return ST_OK;
}

void config_init(const struct config_spec *spec, void *config)
{
	for (size_t i = 0; i < spec->option_count; i++) {
		struct errinfo err;
		if (set_option(&spec->options[i], config, spec->options[i].def, "default", &err) != ST_OK) {
			fprintf(stderr, "%s\n", err.text);
			abort();
		}
	}
}

enum status config_set(const struct config_spec *spec, void *config, const char *key, const char *value,
		       const char *where, struct errinfo *err)
{
	const struct config_option *option = find_option(spec, key);

	if (option != NULL)
		return set_option(option, config, value, where, err);
	if (is_known_unused(spec, key)) {
		log_warn("config", "RocketMQ key has no meaning here, ignored", "key=%s where=%s", key, where);
		return ST_OK;
	}
	return errinfo_set(err, ST_INVALID, "%s: unknown key '%s' (%s -p lists the known ones)", where, key,
			   spec->program);
}

static char *trim(char *text)
{
	size_t size = strlen(text);

	while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL)
		text[--size] = '\0';
	return text + strspn(text, " \t");
}

/* Splits "key = value" in place. */
static enum status split_pair(char *text, const char *where, char **key, char **value, struct errinfo *err)
{
	char *equals = strchr(text, '=');

	if (equals == NULL || equals == text)
		return errinfo_set(err, ST_INVALID, "%s: '%.80s' is not of the form key=value", where, text);
	*equals = '\0';
	*key = trim(text);
	*value = trim(equals + 1);
	return ST_OK;
}

static enum status load_line(const struct config_spec *spec, void *config, char *line, const char *where,
			     struct errinfo *err)
{
	char *text = trim(line), *key, *value;

	if (*text == '\0' || *text == '#' || *text == '!')
		return ST_OK;
	enum status st = split_pair(text, where, &key, &value, err);
	if (st != ST_OK)
		return st;
	return config_set(spec, config, key, value, where, err);
}

enum status config_load_file(const struct config_spec *spec, void *config, const char *path,
			     struct errinfo *err)
{
	char line[CONFIG_LINE_SIZE], where[CONFIG_TEXT_SIZE];
	enum status st = ST_OK;
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return errinfo_set(err, ST_IO, "open %s: %s", path, strerror(errno));
	for (int number = 1; st == ST_OK && fgets(line, sizeof(line), file) != NULL; number++) {
		snprintf(where, sizeof(where), "%s:%d", path, number);
		if (strchr(line, '\n') == NULL && !feof(file))
			st = errinfo_set(err, ST_TOOBIG, "%s: line longer than %d bytes", where,
					 CONFIG_LINE_SIZE - 2);
		else
			st = load_line(spec, config, line, where, err);
	}
	if (st == ST_OK && ferror(file))
		st = errinfo_set(err, ST_IO, "read %s: %s", path, strerror(errno));
	fclose(file);
	return st;
}

static enum status set_pair_argument(const struct config_spec *spec, void *config, const char *pair,
				     struct errinfo *err)
{
	char text[CONFIG_LINE_SIZE], *key, *value;

	if (strlen(pair) >= sizeof(text))
		return errinfo_set(err, ST_TOOBIG, "-o: longer than %zu bytes", sizeof(text) - 1);
	strcpy(text, pair);
	enum status st = split_pair(text, "-o", &key, &value, err);
	return st != ST_OK ? st : config_set(spec, config, key, value, "-o", err);
}

static void print_usage(const struct config_spec *spec, FILE *out)
{
	fprintf(out,
		"usage: %s [-c FILE] [-o key=value]... [-n ADDR;ADDR] [-p] [-h]\n"
		"  -c FILE       read options from FILE (key=value lines)\n"
		"  -o key=value  set one option; overrides the file\n"
		"  -n ADDRS      same as -o namesrvAddr=ADDRS\n"
		"  -p            print all options with their documentation and effective values, exit\n"
		"  -h            this text\n",
		spec->program);
}

/* Pass 1 takes -c, pass 2 everything else, so that -o overrides the file wherever it stands. */
static enum status parse_pass(const struct config_spec *spec, void *config, int argc, char **argv,
			      bool files, int *last_flag, struct errinfo *err)
{
	enum status st = ST_OK;
	int flag;

	optind = 1;
	while (st == ST_OK && (flag = getopt(argc, argv, ":c:o:n:ph")) != -1) {
		if (flag == 'c' && files)
			st = config_load_file(spec, config, optarg, err);
		else if (flag == 'o' && !files)
			st = set_pair_argument(spec, config, optarg, err);
		else if (flag == 'n' && !files)
			st = config_set(spec, config, "namesrvAddr", optarg, "-n", err);
		else if (flag == 'p' || flag == 'h')
			*last_flag = flag;
		else if (flag == ':' || flag == '?')
			st = errinfo_set(err, ST_INVALID, "option -%c: %s (-h shows the usage)", optopt,
					 flag == ':' ? "needs a value" : "unknown");
	}
	if (st == ST_OK && optind < argc)
		st = errinfo_set(err, ST_INVALID, "unexpected argument '%s' (-h shows the usage)", argv[optind]);
	return st;
}

enum status config_parse_args(const struct config_spec *spec, void *config, int argc, char **argv,
			      enum config_action *action, struct errinfo *err)
{
	int last_flag = 0;
	enum status st = parse_pass(spec, config, argc, argv, true, &last_flag, err);

	if (st == ST_OK)
		st = parse_pass(spec, config, argc, argv, false, &last_flag, err);
	if (st != ST_OK)
		return st;
	if (last_flag == 'p')
		config_print(spec, config, stdout);
	if (last_flag == 'h')
		print_usage(spec, stdout);
	*action = last_flag != 0 ? CONFIG_EXIT_OK : CONFIG_RUN;
	return ST_OK;
}

void config_value_text(const struct config_option *option, const void *config, char *out, size_t out_size)
{
	const void *field = const_field_of(config, option);
	const char *choice = option->choices;

	switch (option->type) {
	case CONFIG_BOOL:
		snprintf(out, out_size, "%s", *(const bool *)field ? "true" : "false");
		return;
	case CONFIG_I64:
		snprintf(out, out_size, "%" PRId64, *(const int64_t *)field);
		return;
	case CONFIG_ENUM:
		for (int skip = *(const int *)field; skip > 0; skip--)
			choice = strchr(choice, '|') + 1;
		snprintf(out, out_size, "%.*s", (int)strcspn(choice, "|"), choice);
		return;
	case CONFIG_TEXT:
		snprintf(out, out_size, "%s",
			 option->secret && *(const char *)field ? "******" : (const char *)field);
		return;
	}
}

static void print_range(const struct config_option *option, FILE *out)
{
	if (option->type == CONFIG_I64)
		fprintf(out, "# %" PRId64 " to %" PRId64 "%s%s, ", option->min, option->max,
			option->unit ? " " : "", option->unit ? option->unit : "");
	else if (option->type == CONFIG_ENUM)
		fprintf(out, "# one of %s, ", option->choices);
	else
		fprintf(out, "# %s, ", option->type == CONFIG_BOOL ? "true or false" : "text");
	fprintf(out, "default %s\n", *option->def ? option->def : "(empty)");
}

void config_print(const struct config_spec *spec, const void *config, FILE *out)
{
	char value[CONFIG_TEXT_SIZE];

	for (size_t i = 0; i < spec->option_count; i++) {
		const struct config_option *option = &spec->options[i];
		config_value_text(option, config, value, sizeof(value));
		fprintf(out, "%s# %s\n", i == 0 ? "" : "\n", option->help);
		print_range(option, out);
		fprintf(out, "%s=%s\n", option->key, value);
	}
}
