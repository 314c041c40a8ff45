#include "tests/sim/seed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/cluster.h"
#include "tests/sim/engine.h"
#include "tests/sim/final.h"
#include "tests/sim/plan.h"

enum { HANG_SECONDS = 300 }; /* A guard against endless loops in the code under test, nothing else. */

static void simulate(const struct seed_run *run, struct report *report)
{
	struct settings drawn;

	report_begin(report, run->seed, run->told);
	settings_draw(run->seed, &drawn);
	engine_begin(run->seed);
	cluster_begin(ITEM_NUMBERS);
	plan_begin(run->left_out);
	plan_run();
	if (!violated())
		cluster_come_to_rest();
	if (!violated())
		cluster_read_all();
	if (!violated())
		final_check();
	report->virtual_ms = engine_now_ms();
	cluster_end();
	engine_end();
	report->finished = true;
}

struct report *report_share(void)
{
	void *memory = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		fputs("sim: out of memory\n", stderr);
		abort();
	}
	return memory;
}

static void be_quiet(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDERR_FILENO);
}

pid_t seed_start(const struct seed_run *run, struct report *shared)
{
	fflush(stdout);
	fflush(stderr);
	memset(shared, 0, sizeof(*shared));
	pid_t child = fork();
	if (child < 0) {
		perror("sim: fork");
		abort();
	}
	if (child > 0)
		return child;
	if (run->quiet)
		be_quiet();
	alarm(HANG_SECONDS);
	simulate(run, shared);
	exit(0);
}

void seed_ended(struct report *shared, uint64_t seed, int wait_status)
{
	bool clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0 && shared->finished;

	shared->seed = seed;
	if (clean)
		return;
	snprintf(shared->invariant, sizeof(shared->invariant), "CRASH");
	if (WIFSIGNALED(wait_status))
		snprintf(shared->text, sizeof(shared->text), "%s",
			 WTERMSIG(wait_status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(wait_status)));
	else
		snprintf(shared->text, sizeof(shared->text), "exit code %d", WEXITSTATUS(wait_status));
}

void seed_run(const struct seed_run *run, struct report *shared)
{
	int status = 0;
	pid_t child = seed_start(run, shared);

	if (waitpid(child, &status, 0) != child)
		abort();
	seed_ended(shared, run->seed, status);
}
