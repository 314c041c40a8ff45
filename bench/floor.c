/* floor: what does this machine give at best? The figures that a broker's are compared with.
 *
 *     floor disk DIR            synced appends of one thread to a zero-filled file, by batch size
 *     floor serve -p PORT       answers escrow-bench without doing any work
 *     floor serve -p PORT -l F  the same, with a group-committed log file
 *
 * docs/benchmarks.md explains how to read them. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/dial.h"
#include "bench/lib/echo.h"
#include "bench/lib/histogram.h"
#include "bench/lib/zeroed.h"

enum { EXIT_FAILED = 2, FILE_SIZE = 512 * 1024 * 1024, BATCH_MAX = 1024 * 1024, PATH_SIZE = 4096 };

static const char usage[] =
	"usage: floor disk DIR [-d SECONDS]            seconds per batch size (2)\n"
	"       floor serve -p PORT [-l FILE] [-S MIB] size of the log file (512)\n";

static int fail(const char *text)
{
	fprintf(stderr, "floor: %s\n", text);
	return EXIT_FAILED;
}

static long whole_number(const char *option, const char *text, long low, long high)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end != text && *end == '\0' && value >= low && value <= high)
		return value;
	fprintf(stderr, "floor: %s %s: a whole number from %ld to %ld is needed\n%s", option, text, low, high, usage);
	exit(EXIT_FAILED);
}

/* --- disk ------------------------------------------------------------------------------------------- */

/* Synced appends of one size for a while; one line of the table. */
static enum status measure_batch(struct zeroed *file, const uint8_t *data, size_t size, long seconds, struct errinfo *err)
{
	static struct histogram latency;
	const double transaction = 1024 + ECHO_HALF_OVERHEAD + ECHO_DECISION_SIZE;
	int64_t begin_ns = dial_now_ns(), now_ns = begin_ns;

	memset(&latency, 0, sizeof(latency));
	while (now_ns - begin_ns < (int64_t)seconds * 1000000000) {
		enum status status = zeroed_append(file, data, size, err);
		if (status != ST_OK)
			return status;
		int64_t end_ns = dial_now_ns();
		histogram_add(&latency, end_ns - now_ns);
		now_ns = end_ns;
	}
	double rate = (double)latency.count * 1e9 / (double)(now_ns - begin_ns);
	printf("%8zu %9.0f %9.1f %9.0f %9.0f %9.0f %12.0f\n", size / 1024, rate, rate * (double)size / 1e6,
	       (double)histogram_quantile(&latency, 0.5) / 1000, (double)histogram_quantile(&latency, 0.99) / 1000,
	       (double)latency.max / 1000, rate * (double)size / transaction);
	return fflush(stdout) == 0 ? ST_OK : errinfo_set(err, ST_IO, "standard output cannot be written");
}

static int run_disk(const char *directory, long seconds)
{
	static const size_t sizes_kib[] = { 4, 16, 64, 128, 256, 512, 1024 };
	char path[PATH_SIZE];
	struct zeroed file;
	struct errinfo err;
	uint8_t *data = malloc(BATCH_MAX);
	int length = snprintf(path, sizeof(path), "%s/floor-disk.tmp", directory);

	if (data == NULL || length < 0 || (size_t)length >= sizeof(path)) {
		free(data);
		return fail("out of memory, or the path is too long");
	}
	memset(data, 0x5a, BATCH_MAX);
	enum status status = zeroed_open(&file, path, FILE_SIZE, &err);
	if (status == ST_OK) {
		printf("synced appends, one thread, zero-filled file in %s\n", directory);
		printf("%8s %9s %9s %9s %9s %9s %12s\n", "KiB", "syncs/s", "MB/s", "p50 us", "p99 us", "max us", "1 KiB tx/s");
		for (size_t i = 0; i < sizeof(sizes_kib) / sizeof(sizes_kib[0]) && status == ST_OK; i++)
			status = measure_batch(&file, data, sizes_kib[i] * 1024, seconds, &err);
		zeroed_close(&file);
	}
	unlink(path);
	free(data);
	return status == ST_OK ? 0 : fail(err.text);
}

/* --- arguments -------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	struct echo_options serve = { .log_size = FILE_SIZE };
	struct errinfo err;
	long seconds = 2;
	int option;

	while ((option = getopt(argc, argv, "d:p:l:S:")) != -1) {
		switch (option) {
		case 'd': seconds = whole_number("-d", optarg, 1, 3600); break;
		case 'p': serve.port = (uint16_t)whole_number("-p", optarg, 1, 65535); break;
		case 'l': serve.log_path = optarg; break;
		case 'S': serve.log_size = (uint64_t)whole_number("-S", optarg, 16, 65536) * 1024 * 1024; break;
		default: return fail(usage);
		}
	}
	const char *const *words = (const char *const *)argv + optind; /* getopt moved the options before them. */
	if (argc - optind == 2 && strcmp(words[0], "disk") == 0)
		return run_disk(words[1], seconds);
	if (argc - optind == 1 && strcmp(words[0], "serve") == 0 && serve.port != 0)
		return echo_serve(&serve, &err) == ST_OK ? 0 : fail(err.text);
	return fail(usage);
}
