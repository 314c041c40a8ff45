/* The simulator: a whole cluster (brokers, name servers, producers, consumers, the op log's MySQL) in one process, on virtual
 * time, over memory disks and a memory network, from a seed; with every fault that report.h lists. The brokers run their own
 * shell; virtual.h says what is put in the place of sockets, threads, files and clocks.
 *
 * A seed carries out 2,200 operations and two crashes at least (plan.h). After every event what clients ask for, what is
 * acknowledged to them and what they see is held against a model (model.h). In the end all faults stop, time runs until
 * everything is at rest, all machines lose power once more, everything is read, and logs, model, consumers and MySQL must agree
 * (final.h). The same seed gives the same run, event by event: its trace hash says so.
 *
 *     sim [--seeds N] [--seed FIRST] [--jobs N] [--go-on] [--counts]
 *     sim --seed N --tell                the history of one seed, in lines
 *     sim --seed N --keep 3,17,205       with these operations only
 *     sim --seed N --hash                its trace hash, nothing else
 *
 * A seed that fails is printed with the command to run it again, and with the shortest history that fails in the same way
 * (shrink.h). Over 20 seeds or more everything must have been reached (coverage.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/coverage.h"
#include "tests/sim/plan.h"
#include "tests/sim/seed.h"
#include "tests/sim/shrink.h"

enum { JOBS_MAX = 64, SEEDS_FOR_COVERAGE = 20, SEEDS_TWICE = 3, LINES_MAX = 200, PROGRESS_EVERY = 500 };

struct options {
	uint64_t first, seeds;
	int jobs, shrink_runs;
	bool tell, hash, go_on, counts;
	bool keeps;
	uint8_t left_out[OPERATIONS];
};

static struct options options = { .first = 1, .seeds = 20, .jobs = 1, .shrink_runs = SHRINK_RUNS_MAX };

/* --- options ------------------------------------------------------------------------------------------------------------ */

static void usage(void)
{
	fputs("usage: sim [--seeds N] [--seed FIRST] [--jobs N] [--go-on] [--counts] [--shrink RUNS]\n"
	      "       sim --seed N [--tell | --hash | --keep OPERATIONS]\n", stderr);
	exit(2);
}

static void keep_only(const char *list)
{
	memset(options.left_out, 1, sizeof(options.left_out));
	options.keeps = options.tell = true;
	while (*list >= '0' && *list <= '9') {
		char *end;
		unsigned long number = strtoul(list, &end, 10);

		if (number < OPERATIONS)
			options.left_out[number] = 0;
		list = *end == ',' ? end + 1 : end;
	}
}

static void parse(int argc, char **argv)
{
	bool seeds_given = false;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--tell") == 0) {
			options.tell = true;
		} else if (strcmp(argv[i], "--hash") == 0) {
			options.hash = true;
		} else if (strcmp(argv[i], "--go-on") == 0) {
			options.go_on = true;
		} else if (strcmp(argv[i], "--counts") == 0) {
			options.counts = true;
		} else if (*value == '\0') {
			usage();
		} else {
			if (strcmp(argv[i], "--seeds") == 0) {
				options.seeds = strtoull(value, NULL, 0);
				seeds_given = true;
			} else if (strcmp(argv[i], "--seed") == 0) {
				options.first = strtoull(value, NULL, 0);
				options.seeds = seeds_given ? options.seeds : 1;
			} else if (strcmp(argv[i], "--jobs") == 0) {
				options.jobs = atoi(value);
			} else if (strcmp(argv[i], "--shrink") == 0) {
				options.shrink_runs = atoi(value);
			} else if (strcmp(argv[i], "--keep") == 0) {
				keep_only(value);
			} else {
				usage();
			}
			i++;
		}
	}
	if (options.jobs < 1 || options.jobs > JOBS_MAX)
		usage();
}

/* --- one seed ----------------------------------------------------------------------------------------------------------- */

static bool failed(const struct report *report)
{
	return report->invariant[0] != '\0';
}

static int run_one(void)
{
	struct report *report = report_share();
	struct seed_run run = { .seed = options.first, .left_out = options.keeps ? options.left_out : NULL, .told = options.tell };

	seed_run(&run, report);
	if (options.hash)
		printf("%016" PRIx64 "\n", report->trace);
	else
		printf("seed %" PRIu64 " trace %016" PRIx64 "%s%s%s%s\n", report->seed, report->trace,
		       failed(report) ? " " : "", report->invariant, failed(report) ? " violated: " : "", report->text);
	return failed(report) ? 1 : 0;
}

/* The trace of the same seed in another program: other addresses, other random numbers of the system. 0: it did not run. */
static uint64_t trace_elsewhere(uint64_t seed)
{
	char path[512], command[640], line[64] = "";
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (size <= 0)
		return 0;
	path[size] = '\0';
	snprintf(command, sizeof(command), "MALLOC_PERTURB_=165 '%s' --seed %" PRIu64 " --hash", path, seed);
	FILE *out = popen(command, "r");
	bool read = out != NULL && fgets(line, sizeof(line), out) != NULL;
	if (out != NULL)
		pclose(out);
	return read ? strtoull(line, NULL, 16) : 0;
}

/* --- many seeds --------------------------------------------------------------------------------------------------------- */

struct job {
	pid_t process; /* 0: free. */
	uint64_t seed;
	struct report *report;
};

static struct job jobs[JOBS_MAX];
static struct report total;
static uint64_t passed_count, failed_count;

static void judge(const struct report *report)
{
	coverage_add(&total, report);
	if (!failed(report)) {
		passed_count++;
		if (options.seeds <= LINES_MAX)
			printf("seed %" PRIu64 " trace %016" PRIx64 "\n", report->seed, report->trace);
		else if (passed_count % PROGRESS_EVERY == 0)
			printf("%" PRIu64 " seeds passed\n", passed_count);
		fflush(stdout);
		return;
	}
	failed_count++;
	printf("seed %" PRIu64 " failed: %s violated: %s\n", report->seed, report->invariant, report->text);
	printf("run it again: build/tests/sim/sim --seed %" PRIu64 "\n", report->seed);
	fflush(stdout);
	if (failed_count == 1 && options.shrink_runs > 0)
		shrink(report, options.shrink_runs);
}

static void check_twice(const struct report *report)
{
	if (failed(report) || report->seed >= options.first + SEEDS_TWICE)
		return;
	uint64_t again = trace_elsewhere(report->seed);
	if (again == report->trace)
		return;
	failed_count++;
	printf("seed %" PRIu64 " has trace %016" PRIx64 ", run again %016" PRIx64 "\n", report->seed, report->trace, again);
}

static void finish_one(void)
{
	int status = 0;
	pid_t ended = waitpid(-1, &status, 0);

	for (int i = 0; i < options.jobs; i++) {
		if (jobs[i].process != ended || ended <= 0)
			continue;
		jobs[i].process = 0;
		seed_ended(jobs[i].report, jobs[i].seed, status);
		judge(jobs[i].report);
		check_twice(jobs[i].report);
		return;
	}
}

static int busy_jobs(void)
{
	int count = 0;

	for (int i = 0; i < options.jobs; i++)
		count += jobs[i].process != 0;
	return count;
}

static void start_one(uint64_t seed)
{
	struct seed_run run = { .seed = seed };

	for (int i = 0; i < options.jobs; i++) {
		if (jobs[i].process != 0)
			continue;
		jobs[i].seed = seed;
		jobs[i].process = seed_start(&run, jobs[i].report);
		return;
	}
}

static int run_many(void)
{
	int missing = 0;

	for (int i = 0; i < options.jobs; i++)
		jobs[i].report = report_share();
	for (uint64_t seed = options.first; seed < options.first + options.seeds; seed++) {
		if (busy_jobs() == options.jobs)
			finish_one();
		if (failed_count > 0 && !options.go_on)
			break;
		start_one(seed);
	}
	while (busy_jobs() > 0)
		finish_one();
	if (options.counts)
		coverage_print(&total);
	if (options.seeds >= SEEDS_FOR_COVERAGE && failed_count == 0)
		missing = coverage_missing(&total);
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", passed_count, failed_count + (uint64_t)missing);
	return failed_count + (uint64_t)missing == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (options.tell || options.hash)
		return run_one();
	return run_many();
}
