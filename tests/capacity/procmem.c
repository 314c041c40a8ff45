#include "tests/capacity/procmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct procmem procmem_of(pid_t pid)
{
	struct procmem memory = { 0 };
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)(pid == 0 ? getpid() : pid));
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *number = strchr(line, ':');
		uint64_t bytes = number == NULL ? 0 : 1024 * (uint64_t)strtoull(number + 1, NULL, 10);

		if (strncmp(line, "VmRSS:", 6) == 0)
			memory.resident = bytes;
		else if (strncmp(line, "VmHWM:", 6) == 0)
			memory.peak = bytes;
		else if (strncmp(line, "RssAnon:", 8) == 0)
			memory.anonymous = bytes;
		else if (strncmp(line, "RssShmem:", 9) == 0)
			memory.shared = bytes;
	}
	fclose(file);
	return memory;
}
