/* See report.h. */
#include "bench/lib/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const mode_names[] = { "tx", "half", "send" };

static double per_transaction(const struct report *r, double value)
{
	return r->completed == 0 ? 0 : value / (double)r->completed;
}

static double broker_cpu_us(const struct report *r)
{
	return per_transaction(r, (double)(r->broker_after.cpu_ns - r->broker_before.cpu_ns) / 1000);
}

static double broker_cores(const struct report *r)
{
	return (double)(r->broker_after.cpu_ns - r->broker_before.cpu_ns) / 1e9 / r->seconds;
}

/* A thread that ended in between takes its count along: then the difference is unknown, shown as 0. */
static double difference(uint64_t before, uint64_t after)
{
	return after > before ? (double)(after - before) : 0;
}

bool report_is_clean(const struct report *r)
{
	const struct load_totals *t = r->totals;

	return t->failed == 0 && t->unmatched == 0 && t->wrong_identity == 0 && t->unanswered == 0 &&
	       t->error_count == 0 && t->other_requests == 0;
}

static void print_latency(const char *name, const struct histogram *h)
{
	if (h->count == 0)
		return;
	printf("  %-12s %9.0f %9.0f %9.0f %9.0f %9.0f\n", name, (double)histogram_quantile(h, 0.5) / 1000,
	       (double)histogram_quantile(h, 0.9) / 1000, (double)histogram_quantile(h, 0.99) / 1000,
	       (double)histogram_quantile(h, 0.999) / 1000, (double)h->max / 1000);
}

static void print_errors(const struct load_totals *t)
{
	for (uint32_t i = 0; i < t->error_count; i++)
		printf("  error        %s: code %d, %" PRIu64 " times; the first said: %s\n", t->errors[i].stage,
		       t->errors[i].code, t->errors[i].count, t->errors[i].remark);
	if (t->unmatched + t->wrong_identity + t->unanswered + t->other_requests > 0)
		printf("  wrong        %" PRIu64 " answers to no request, %" PRIu64 " with another identity, %" PRIu64
		       " requests unanswered, %" PRIu64 " unexpected requests\n", t->unmatched, t->wrong_identity,
		       t->unanswered, t->other_requests);
	if (t->check_requests > 0)
		printf("  checks       %" PRIu64 " check-backs received, none answered\n", t->check_requests);
	if (t->backlog > 0)
		printf("  backlog      %" PRIu64 " transactions were due and could not start: the rate is too high\n", t->backlog);
}

static void print_broker(const struct report *r)
{
	const struct procstat *a = &r->broker_before, *b = &r->broker_after;

	printf("  broker       %.2f us CPU per transaction, %.2f cores; resident %" PRIu64 " MiB (own %" PRIu64 ", peak %" PRIu64
	       ")\n", broker_cpu_us(r), broker_cores(r), b->rss_kib / 1024, b->rss_anon_kib / 1024, b->rss_peak_kib / 1024);
	printf("               %.3f + %.3f context switches per transaction (voluntary + involuntary)\n",
	       per_transaction(r, difference(a->voluntary_switches, b->voluntary_switches)),
	       per_transaction(r, difference(a->involuntary_switches, b->involuntary_switches)));
}

void report_print(const struct report *r)
{
	const struct load_options *o = r->options;
	double rate = (double)r->completed / r->seconds;

	printf("escrow-bench: %s%s, %u connections x %u in flight, %zu-byte messages, ", mode_names[o->mode],
	       o->end_oneway ? " (one-way END)" : "", o->connection_count, o->window, o->body_size);
	if (o->rate > 0)
		printf("%.0f/s offered, ", o->rate);
	printf("%.1f s\n", r->seconds);
	printf("  throughput   %.0f/s, slowest second %.0f/s; %" PRIu64 " commits, %" PRIu64 " rollbacks sent in all\n",
	       rate, r->slowest_second, r->totals->commits, r->totals->rollbacks);
	printf("  latency, us  %9s %9s %9s %9s %9s\n", "p50", "p90", "p99", "p99.9", "max");
	print_latency("half", &r->totals->half);
	print_latency("END", &r->totals->end);
	if (o->mode != LOAD_HALF || o->rate > 0)
		print_latency(o->mode == LOAD_TX ? "transaction" : o->mode == LOAD_SEND ? "send" : "since due",
			      &r->totals->transaction);
	if (r->has_broker)
		print_broker(r);
	if (r->has_device)
		printf("  disk         %.0f bytes written per transaction, by the whole machine\n",
		       per_transaction(r, difference(r->device_before, r->device_after)));
	printf("  generator    %.2f us CPU per transaction, %.2f cores\n",
	       per_transaction(r, (double)r->generator_cpu_ns / 1000), (double)r->generator_cpu_ns / 1e9 / r->seconds);
	print_errors(r->totals);
	if (report_is_clean(r))
		printf("  answers      all as expected\n");
}

static void json_latency(const char *name, const struct histogram *h)
{
	printf(",\"%s_p50_us\":%.1f,\"%s_p90_us\":%.1f,\"%s_p99_us\":%.1f,\"%s_p999_us\":%.1f,\"%s_max_us\":%.1f",
	       name, (double)histogram_quantile(h, 0.5) / 1000, name, (double)histogram_quantile(h, 0.9) / 1000,
	       name, (double)histogram_quantile(h, 0.99) / 1000, name, (double)histogram_quantile(h, 0.999) / 1000,
	       name, (double)h->max / 1000);
}

static void json_broker(const struct report *r)
{
	const struct procstat *a = &r->broker_before, *b = &r->broker_after;

	printf(",\"broker_cpu_us\":%.3f,\"broker_cores\":%.3f,\"rss_mib\":%.1f,\"rss_anon_mib\":%.1f,\"rss_peak_mib\":%.1f",
	       broker_cpu_us(r), broker_cores(r), (double)b->rss_kib / 1024, (double)b->rss_anon_kib / 1024,
	       (double)b->rss_peak_kib / 1024);
	printf(",\"voluntary_switches\":%.4f,\"involuntary_switches\":%.4f",
	       per_transaction(r, difference(a->voluntary_switches, b->voluntary_switches)),
	       per_transaction(r, difference(a->involuntary_switches, b->involuntary_switches)));
}

void report_print_json(const struct report *r)
{
	const struct load_options *o = r->options;
	const struct load_totals *t = r->totals;

	printf("{\"label\":\"%s\",\"mode\":\"%s\",\"connections\":%u,\"window\":%u,\"size\":%zu,\"offered\":%.0f", r->label,
	       mode_names[o->mode], o->connection_count, o->window, o->body_size, o->rate);
	printf(",\"seconds\":%.3f,\"completed\":%" PRIu64 ",\"tx_per_s\":%.1f,\"slowest_second\":%.1f", r->seconds,
	       r->completed, (double)r->completed / r->seconds, r->slowest_second);
	json_latency("tx", &t->transaction);
	json_latency("half", &t->half);
	json_latency("end", &t->end);
	if (r->has_broker)
		json_broker(r);
	if (r->has_device)
		printf(",\"device_bytes\":%.0f", per_transaction(r, difference(r->device_before, r->device_after)));
	printf(",\"generator_cpu_us\":%.3f", per_transaction(r, (double)r->generator_cpu_ns / 1000));
	printf(",\"failed\":%" PRIu64 ",\"unmatched\":%" PRIu64 ",\"wrong_identity\":%" PRIu64 ",\"unanswered\":%" PRIu64
	       ",\"checks\":%" PRIu64 ",\"backlog\":%" PRIu64 ",\"errors\":{", t->failed, t->unmatched, t->wrong_identity,
	       t->unanswered, t->check_requests, t->backlog);
	for (uint32_t i = 0; i < t->error_count; i++)
		printf("%s\"%s %d\":%" PRIu64, i == 0 ? "" : ",", t->errors[i].stage, t->errors[i].code, t->errors[i].count);
	printf("}}\n");
}
