#include "lib/base/config_change.h"

#include <string.h>

#include "lib/base/logging.h"

enum { LINES_MAX = 200 };

static bool is_listed(const char *const *list, const char *key)
{
	for (; *list != NULL; list++) {
		if (strcmp(*list, key) == 0)
			return true;
	}
	return false;
}

static bool is_option(const struct config_spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->option_count; i++) {
		if (strcmp(spec->options[i].key, key) == 0)
			return true;
	}
	return false;
}

static struct span trim(struct span s)
{
	while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t' || s.data[0] == '\r'))
		s = (struct span){ s.data + 1, s.size - 1 };
	while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t' || s.data[s.size - 1] == '\r'))
		s.size--;
	return s;
}

/* Into a C string. False: too long, or a zero byte is in it. */
static bool copy_text(struct span s, char out[CONFIG_TEXT_SIZE])
{
	if (s.size >= CONFIG_TEXT_SIZE || (s.size > 0 && memchr(s.data, '\0', s.size) != NULL))
		return false;
	if (s.size > 0)
		memcpy(out, s.data, s.size);
	out[s.size] = '\0';
	return true;
}

static enum status change_line(const struct config_spec *spec, const char *const *changeable, void *config, struct span line,
			       struct errinfo *err)
{
	char key[CONFIG_TEXT_SIZE], value[CONFIG_TEXT_SIZE];

	line = trim(line);
	if (line.size == 0 || line.data[0] == '#' || line.data[0] == '!')
		return ST_OK;
	const uint8_t *equals = memchr(line.data, '=', line.size);
	if (equals == NULL)
		return errinfo_set(err, ST_INVALID, "\"%.*s\" is not of the form key=value", SPAN_ARGS(line));
	size_t key_size = (size_t)(equals - line.data);
	if (!copy_text(trim((struct span){ line.data, key_size }), key) ||
	    !copy_text(trim((struct span){ equals + 1, line.size - key_size - 1 }), value))
		return errinfo_set(err, ST_INVALID, "an option or its value is longer than %d bytes or holds a zero byte", CONFIG_TEXT_SIZE - 1);
	if (!is_option(spec, key))
		return errinfo_set(err, ST_DENIED, "Can not update config: %s is no option here (%s -p lists them)", key, spec->program);
	if (!is_listed(changeable, key))
		return errinfo_set(err, ST_DENIED, "Can not update config: %s can only be set before the start: set it in the file of %s "
				   "and restart it", key, spec->program);
	/* Too long or out of range: it is all the same to whoever sent it. */
	return config_set(spec, config, key, value, "update", err) == ST_OK ? ST_OK : ST_INVALID;
}

enum status config_change(const struct config_spec *spec, const char *const *changeable, void *config, struct span text,
			  struct errinfo *err)
{
	enum status status = ST_OK;

	for (int lines = 0; text.size > 0 && status == ST_OK; lines++) {
		const uint8_t *end = memchr(text.data, '\n', text.size);
		size_t size = end == NULL ? text.size : (size_t)(end - text.data), used = size + (end != NULL);

		if (lines == LINES_MAX)
			return errinfo_set(err, ST_INVALID, "more than %d lines", LINES_MAX);
		status = change_line(spec, changeable, config, (struct span){ text.data, size }, err);
		text = (struct span){ text.data + used, text.size - used };
	}
	return status;
}

void config_log_changes(const struct config_spec *spec, const void *before, const void *after)
{
	char was[CONFIG_TEXT_SIZE], is[CONFIG_TEXT_SIZE];

	for (size_t i = 0; i < spec->option_count; i++) {
		config_value_text(&spec->options[i], before, was, sizeof(was));
		config_value_text(&spec->options[i], after, is, sizeof(is));
		if (strcmp(was, is) != 0)
			log_info("config", "changed from remote", "key=%s from=\"%s\" to=\"%s\" note=\"until the program ends\"",
				 spec->options[i].key, was, is);
	}
}

void config_put_values(const struct config_spec *spec, const void *config, struct buffer *out)
{
	char value[CONFIG_TEXT_SIZE];

	for (size_t i = 0; i < spec->option_count; i++) {
		config_value_text(&spec->options[i], config, value, sizeof(value));
		buffer_printf(out, "%s=%s\n", spec->options[i].key, value);
	}
}
