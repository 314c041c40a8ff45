/* escrow-bench: how many transactions per second does a broker complete, how long does each take, and what does it cost?
 *
 * A neutral generator for any broker that speaks the RocketMQ remoting protocol; it links none of ours.
 * docs/benchmarks.md explains what is measured. Exit code: 0 if every answer was the expected one, 1 if not,
 * 2 if the run could not be made. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/lib/report.h"

enum { EXIT_UNCLEAN = 1, EXIT_FAILED = 2, POLL_NS = 10000000, QUEUES_MAX = 10, NAME_MAX_SIZE = 64 };

struct run_options {
	struct load_options load;
	const char *broker;
	const char *name_server;
	const char *label;
	const char *store;
	double warmup_s, duration_s, drain_s;
	uint32_t queue_count; /* 0 = as the route says, or 4. */
	pid_t pid;
	bool json;
	bool series;
};

static const char usage[] =
	"usage: escrow-bench (-b HOST:PORT | -n HOST:PORT) [option]...\n"
	"  -b, --broker HOST:PORT   the broker\n"
	"  -n, --namesrv HOST:PORT  a name server that knows the broker\n"
	"  -m, --mode tx|half|send  transactions, half messages left undecided, or plain messages (tx)\n"
	"  -c, --connections N      (8)\n"
	"  -w, --window N           requests in flight per connection (64)\n"
	"  -s, --size BYTES         message body (1024)\n"
	"  -d, --duration SECONDS   measured time (10)\n"
	"  -W, --warmup SECONDS     before it (2)\n"
	"      --drain SECONDS      how long to wait for the last answers (10)\n"
	"  -r, --rate N             open loop: N transactions per second, latency from the instant each was due\n"
	"      --commit PERCENT     share of commits, the rest are rolled back (100)\n"
	"      --oneway             END without an answer, as RocketMQ's clients send it\n"
	"  -T, --threads N          (1)\n"
	"  -t, --topic NAME         (EscrowBench)\n"
	"  -g, --group NAME         producer group (escrow-bench)\n"
	"  -q, --queues N           queues of the topic to write to, 1..10 (as routed; 4 with -b)\n"
	"  -p, --pid PID            the broker's process: reports its CPU, memory, context switches\n"
	"      --store PATH         a path on the broker's disk: reports the bytes that this disk wrote\n"
	"      --series             one line per second on standard error\n"
	"      --json               one line of JSON instead of the table\n"
	"      --label TEXT         repeated in the JSON line\n";

static void fail_usage(const char *what, const char *value)
{
	fprintf(stderr, "escrow-bench: %s: '%s'\n%s", what, value, usage);
	exit(EXIT_FAILED);
}

static double number(const char *name, const char *text, double low, double high)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(value) || value < low || value > high) {
		fprintf(stderr, "escrow-bench: --%s %s: a number from %.0f to %.0f is needed\n", name, text, low, high);
		exit(EXIT_FAILED);
	}
	return value;
}

/* Names go into JSON and properties as they are. */
static const char *checked_name(const char *option, const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%-_|.";

	if (text[0] == '\0' || strlen(text) > NAME_MAX_SIZE || text[strspn(text, allowed)] != '\0')
		fail_usage(option, text);
	return text;
}

static enum load_mode checked_mode(const char *text)
{
	static const char *const names[] = { "tx", "half", "send" };

	for (uint32_t i = 0; i < 3; i++)
		if (strcmp(text, names[i]) == 0)
			return (enum load_mode)i;
	fail_usage("unknown mode", text);
	return LOAD_TX;
}

enum { OPTION_DRAIN = 256, OPTION_COMMIT, OPTION_ONEWAY, OPTION_SERIES, OPTION_JSON, OPTION_LABEL, OPTION_STORE };

static const struct option long_options[] = {
	{ "broker", required_argument, NULL, 'b' },
	{ "namesrv", required_argument, NULL, 'n' },
	{ "mode", required_argument, NULL, 'm' },
	{ "connections", required_argument, NULL, 'c' },
	{ "window", required_argument, NULL, 'w' },
	{ "size", required_argument, NULL, 's' },
	{ "duration", required_argument, NULL, 'd' },
	{ "warmup", required_argument, NULL, 'W' },
	{ "drain", required_argument, NULL, OPTION_DRAIN },
	{ "rate", required_argument, NULL, 'r' },
	{ "commit", required_argument, NULL, OPTION_COMMIT },
	{ "oneway", no_argument, NULL, OPTION_ONEWAY },
	{ "threads", required_argument, NULL, 'T' },
	{ "topic", required_argument, NULL, 't' },
	{ "group", required_argument, NULL, 'g' },
	{ "queues", required_argument, NULL, 'q' },
	{ "pid", required_argument, NULL, 'p' },
	{ "store", required_argument, NULL, OPTION_STORE },
	{ "series", no_argument, NULL, OPTION_SERIES },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "label", required_argument, NULL, OPTION_LABEL },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void set_option(struct run_options *o, int option, const char *value)
{
	switch (option) {
	case 'b': o->broker = value; break;
	case 'n': o->name_server = value; break;
	case 'm': o->load.mode = checked_mode(value); break;
	case 'c': o->load.connection_count = (uint32_t)number("connections", value, 1, LOAD_CONNECTIONS_MAX); break;
	case 'w': o->load.window = (uint32_t)number("window", value, 1, LOAD_WINDOW_MAX); break;
	case 's': o->load.body_size = (size_t)number("size", value, 1, FRAME_LIMIT / 2); break;
	case 'd': o->duration_s = number("duration", value, 0.1, 1e6); break;
	case 'W': o->warmup_s = number("warmup", value, 0, 1e6); break;
	case OPTION_DRAIN: o->drain_s = number("drain", value, 0, 1e6); break;
	case 'r': o->load.rate = number("rate", value, 1, 1e8); break;
	case OPTION_COMMIT: o->load.commit_percent = (uint32_t)number("commit", value, 0, 100); break;
	case OPTION_ONEWAY: o->load.end_oneway = true; break;
	case 'T': o->load.thread_count = (uint32_t)number("threads", value, 1, LOAD_THREADS_MAX); break;
	case 't': o->load.topic = checked_name("topic", value); break;
	case 'g': o->load.group = checked_name("group", value); break;
	case 'q': o->queue_count = (uint32_t)number("queues", value, 1, QUEUES_MAX); break;
	case 'p': o->pid = (pid_t)number("pid", value, 1, 1e9); break;
	case OPTION_STORE: o->store = value; break;
	case OPTION_SERIES: o->series = true; break;
	case OPTION_JSON: o->json = true; break;
	case OPTION_LABEL: o->label = checked_name("label", value); break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(EXIT_FAILED);
	}
}

static void parse_options(struct run_options *o, int argc, char **argv)
{
	int option;

	*o = (struct run_options){
		.load = { .connection_count = 8, .window = 64, .thread_count = 1, .body_size = 1024,
			  .commit_percent = 100, .topic = "EscrowBench", .group = "escrow-bench" },
		.label = "", .warmup_s = 2, .duration_s = 10, .drain_s = 10,
	};
	while ((option = getopt_long(argc, argv, "b:n:m:c:w:s:d:W:r:T:t:g:q:p:h", long_options, NULL)) != -1)
		set_option(o, option, optarg);
	if (optind != argc)
		fail_usage("unexpected argument", argv[optind]);
	if ((o->broker == NULL) == (o->name_server == NULL))
		fail_usage("one of --broker and --namesrv is needed", "");
	if (o->load.thread_count > o->load.connection_count)
		o->load.thread_count = o->load.connection_count;
	/* One-way ENDs are unacknowledged, so nothing bounds how many of them wait in the broker but the halves. */
	if (o->load.end_oneway && o->load.mode != LOAD_TX)
		fail_usage("--oneway is for mode tx", "");
}

static enum status find_route(struct run_options *o, struct errinfo *err)
{
	struct route *route = &o->load.route;

	if (o->name_server != NULL) {
		enum status status = dial_route(o->name_server, o->load.topic, route, err);
		if (status != ST_OK)
			return status;
	} else {
		if (strlen(o->broker) >= DIAL_ADDRESS_SIZE)
			return errinfo_set(err, ST_INVALID, "address '%s' is too long", o->broker);
		strcpy(route->brokers[0], o->broker);
		route->broker_count = 1;
		route->queue_count = 4; /* What an automatically created topic has. */
	}
	if (o->queue_count != 0)
		route->queue_count = o->queue_count;
	if (route->queue_count > QUEUES_MAX)
		route->queue_count = QUEUES_MAX;
	return ST_OK;
}

/* --- a run ------------------------------------------------------------------------------------------ */

static int64_t own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t when_ns)
{
	const struct timespec t = { .tv_sec = when_ns / 1000000000, .tv_nsec = when_ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		continue;
}

/* Sleeps until `end_ns`, looking at each whole second. Returns early if a worker gave up. */
static double watch_seconds(struct load *load, int64_t begin_ns, int64_t end_ns, bool series)
{
	uint64_t last = load_completed(load);
	int64_t last_ns = begin_ns;
	double slowest = 0;

	for (int second = 1; last_ns < end_ns && !load_finished(load); second++) {
		int64_t next_ns = begin_ns + (int64_t)second * 1000000000;
		bool whole = next_ns <= end_ns;
		sleep_until(whole ? next_ns : end_ns);
		int64_t now_ns = dial_now_ns();
		uint64_t completed = load_completed(load);
		double rate = (double)(completed - last) * 1e9 / (double)(now_ns - last_ns);
		if (whole && (second == 1 || rate < slowest))
			slowest = rate;
		if (series)
			fprintf(stderr, "second %d: %.0f/s\n", second, rate);
		last = completed;
		last_ns = now_ns;
	}
	return slowest;
}

static void wait_drained(struct load *load, double seconds)
{
	int64_t deadline_ns = dial_now_ns() + (int64_t)(seconds * 1e9);

	load_set_phase(load, LOAD_DRAIN);
	while (!load_finished(load) && dial_now_ns() < deadline_ns)
		sleep_until(dial_now_ns() + POLL_NS);
}

/* What can be seen of the broker from outside, at one end of the measuring phase. */
static enum status look_at_broker(const struct run_options *o, struct procstat *process, uint64_t *written,
				  struct errinfo *err)
{
	enum status status = o->pid != 0 ? procstat_read(o->pid, process, err) : ST_OK;

	if (status == ST_OK && o->store != NULL)
		status = procstat_device_written(o->store, written, err);
	return status;
}

static enum status measure(const struct run_options *o, struct load *load, struct report *r, struct errinfo *err)
{
	int64_t warm_ns = dial_now_ns() + (int64_t)(o->warmup_s * 1e9);

	while (dial_now_ns() < warm_ns && !load_finished(load))
		sleep_until(dial_now_ns() + POLL_NS < warm_ns ? dial_now_ns() + POLL_NS : warm_ns);
	enum status status = look_at_broker(o, &r->broker_before, &r->device_before, err);
	if (status != ST_OK)
		return status;
	int64_t cpu_ns = own_cpu_ns();
	uint64_t completed = load_completed(load);
	int64_t begin_ns = dial_now_ns();
	load_set_phase(load, LOAD_MEASURE);
	r->slowest_second = watch_seconds(load, begin_ns, begin_ns + (int64_t)(o->duration_s * 1e9), o->series);
	r->completed = load_completed(load) - completed;
	r->seconds = (double)(dial_now_ns() - begin_ns) / 1e9;
	r->generator_cpu_ns = own_cpu_ns() - cpu_ns;
	status = look_at_broker(o, &r->broker_after, &r->device_after, err);
	r->has_broker = o->pid != 0 && status == ST_OK;
	r->has_device = o->store != NULL && status == ST_OK;
	wait_drained(load, o->drain_s);
	return status;
}

int main(int argc, char **argv)
{
	static struct load_totals totals;
	struct run_options options;
	struct errinfo err;
	struct load *load = NULL;

	parse_options(&options, argc, argv);
	struct report report = { .options = &options.load, .label = options.label, .totals = &totals };
	enum status status = find_route(&options, &err);
	if (status == ST_OK)
		status = load_create(&options.load, &load, &err);
	if (status != ST_OK) {
		fprintf(stderr, "escrow-bench: %s\n", err.text);
		return EXIT_FAILED;
	}
	struct errinfo measured, joined;
	status = load_start(load, &measured);
	if (status == ST_OK)
		status = measure(&options, load, &report, &measured);
	enum status end = load_join(load, &totals, &joined);
	load_destroy(load);
	if (end != ST_OK || status != ST_OK) /* A lost connection explains a vanished process, not the other way round. */
		fprintf(stderr, "escrow-bench: %s\n", end != ST_OK ? joined.text : measured.text);
	if (report.seconds > 0)
		(options.json ? report_print_json : report_print)(&report);
	if (end != ST_OK || status != ST_OK)
		return EXIT_FAILED;
	return report_is_clean(&report) ? 0 : EXIT_UNCLEAN;
}
