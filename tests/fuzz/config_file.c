/* Configuration files and single options of the broker. Numbers stay in their ranges, and what is taken is printed as a file
 * that gives the same values (looked at for one input in sixteen, because it takes ten times as long as all else). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/core/core_config.h"
#include "broker/shell/broker_config.h"
#include "lib/base/config_change.h"
#include "lib/base/bytes.h"
#include "lib/base/config.h"
#include "lib/base/crc32c.h"
#include "lib/base/logging.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_fd = -1, again_fd = -1;

static void fill(int *fd, const void *data, size_t size)
{
	if (*fd < 0)
		*fd = memfd_create("fuzz", 0);
	if (*fd < 0 || ftruncate(*fd, 0) != 0 || pwrite(*fd, data, size, 0) != (ssize_t)size)
		abort();
}

static enum status load(int fd, struct broker_config *config, struct errinfo *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config_init(broker_config_spec(), config);
	return config_load_file(broker_config_spec(), config, path, err);
}

static void check_ranges(const struct config_spec *spec, const void *config)
{
	for (size_t i = 0; i < spec->option_count; i++) {
		const struct config_option *option = &spec->options[i];
		int64_t value;

		if (option->type != CONFIG_I64)
			continue;
		memcpy(&value, (const char *)config + option->offset, sizeof(value));
		if (value < option->min || value > option->max)
			abort();
	}
}

/* A secret is printed as stars, so it is left out of the comparison. */
static void check_print(const struct broker_config *config)
{
	static struct broker_config again;
	const struct config_spec *spec = broker_config_spec();
	char *text = NULL, one[CONFIG_TEXT_SIZE], other[CONFIG_TEXT_SIZE];
	size_t size;
	struct errinfo err;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		abort();
	config_print(spec, config, out);
	fclose(out);
	fill(&again_fd, text, size);
	free(text);
	if (load(again_fd, &again, &err) != ST_OK) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	for (size_t i = 0; i < spec->option_count; i++) {
		config_value_text(&spec->options[i], config, one, sizeof(one));
		config_value_text(&spec->options[i], &again, other, sizeof(other));
		if (!spec->options[i].secret && strcmp(one, other) != 0) {
			fprintf(stderr, "%s: '%s' printed, '%s' read\n", spec->options[i].key, one, other);
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct broker_config config;
	static struct core_config core;
	struct errinfo err;
	char text[CONFIG_TEXT_SIZE];

	log_set_level(LOGLEVEL_ERROR);
	fill(&file_fd, data, size);
	if (load(file_fd, &config, &err) == ST_OK) {
		check_ranges(broker_config_spec(), &config);
		if (crc32c(0, data, size) % 16 == 0)
			check_print(&config);
		(void)!broker_config_finish(&config, &err);
	}
	static const char *const some[] = { "logLevel", "maxMessageSize", "brokerPermission", "transactionUndecidedPolicy", NULL };
	if (config_change(broker_config_spec(), some, &config, (struct span){ data, size }, &err) == ST_OK)
		check_ranges(broker_config_spec(), &config);
	/* The same bytes as one value of each kind. */
	if (span_to_cstr((struct span){ data, size }, text, sizeof(text)) == ST_OK) {
		(void)!core_config_set_delay_levels(&core, text, &err);
		(void)!config_set(broker_config_spec(), &config, "listenPort", text, "-o", &err);
		(void)!config_set(broker_config_spec(), &config, text, "1", "-o", &err);
		check_ranges(broker_config_spec(), &config);
	}
	return 0;
}
