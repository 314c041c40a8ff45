/* See procstat.h. */
#include "bench/lib/procstat.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

enum { PATH_SIZE = 128, LINE_SIZE = 256 };

struct wanted {
	const char *prefix;
	uint64_t *value;
};

/* Adds the numbers behind the wanted prefixes of a "Name: number" file. False if it cannot be opened. */
static bool add_fields(const char *path, const struct wanted *wanted, size_t count)
{
	char line[LINE_SIZE];
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL)
		for (size_t i = 0; i < count; i++) {
			size_t size = strlen(wanted[i].prefix);
			if (strncmp(line, wanted[i].prefix, size) == 0)
				*wanted[i].value += strtoull(line + size, NULL, 10);
		}
	(void)fclose(file); /* Read only: nothing can be lost. */
	return true;
}

/* A process's own status file counts the switches of its first thread only. */
static void add_switches(pid_t pid, struct procstat *out)
{
	const struct wanted wanted[] = {
		{ "voluntary_ctxt_switches:", &out->voluntary_switches },
		{ "nonvoluntary_ctxt_switches:", &out->involuntary_switches },
	};
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return;
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", (int)pid, entry->d_name);
		(void)add_fields(path, wanted, 2); /* A thread that has just ended is not an error. */
	}
	closedir(dir);
}

enum status procstat_read(pid_t pid, struct procstat *out, struct errinfo *err)
{
	const struct wanted memory[] = {
		{ "VmRSS:", &out->rss_kib },
		{ "VmHWM:", &out->rss_peak_kib },
		{ "RssAnon:", &out->rss_anon_kib },
	};
	struct timespec cpu;
	clockid_t clock;
	char path[PATH_SIZE];

	memset(out, 0, sizeof(*out));
	/* The CPU clock has nanoseconds; /proc/PID/stat has ticks of 10 ms. */
	int error = clock_getcpuclockid(pid, &clock);
	if (error != 0 || clock_gettime(clock, &cpu) != 0)
		return errinfo_set(err, ST_NOTFOUND, "process %d: %s", (int)pid, strerror(error != 0 ? error : errno));
	out->cpu_ns = (int64_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (!add_fields(path, memory, 3))
		return errinfo_set(err, ST_NOTFOUND, "open %s: %s", path, strerror(errno));
	add_switches(pid, out);
	return ST_OK;
}

enum status procstat_device_written(const char *path, uint64_t *bytes, struct errinfo *err)
{
	enum { SECTOR = 512 };
	unsigned long long sectors = 0;
	char stat_path[PATH_SIZE];
	struct stat st;

	if (stat(path, &st) != 0)
		return errinfo_set(err, ST_NOTFOUND, "%s: %s", path, strerror(errno));
	snprintf(stat_path, sizeof(stat_path), "/sys/dev/block/%u:%u/stat", major(st.st_dev), minor(st.st_dev));
	FILE *file = fopen(stat_path, "re");
	if (file == NULL)
		return errinfo_set(err, ST_NOTFOUND, "%s is on no block device: open %s: %s", path, stat_path, strerror(errno));
	/* The seventh number: sectors written. */
	int found = fscanf(file, "%*u %*u %*u %*u %*u %*u %llu", &sectors);
	(void)fclose(file);
	if (found != 1)
		return errinfo_set(err, ST_INVALID, "%s: not understood", stat_path);
	*bytes = (uint64_t)sectors * SECTOR;
	return ST_OK;
}
