/* escrow-pull: how fast does a consumer that is far behind catch up?
 *
 * A raw pull client for any broker that speaks the RocketMQ remoting protocol, one connection and one thread a queue: it asks
 * from a queue's first message on, and again with the answer's next offset, until nothing is left. Nothing is decoded but
 * the length, the queue and the offset of each message, which must ascend without a gap. It links no broker code.
 * Exit code: 0 if all was in order, 1 if not, 2 if the run could not be made. */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/dial.h"

enum { EXIT_UNCLEAN = 1, EXIT_FAILED = 2, QUEUES_MAX = 64, COUNT_MAX = 4096 };
enum { RECORD_QUEUE_AT = 12, RECORD_OFFSET_AT = 20, RECORD_SIZE_MIN = 88 }; /* Of a message in a pull's answer. */

struct options {
	const char *broker, *topic, *group;
	uint32_t queue_count, count;
	uint64_t limit; /* Messages for each queue; 0: all. */
	bool json;
};

struct queue {
	const struct options *options;
	pthread_t thread;
	uint32_t id;
	uint64_t messages, bytes, pulls, gaps;
	enum status status;
	struct errinfo err;
};

static const char usage[] =
	"usage: escrow-pull -b HOST:PORT -t TOPIC [option]...\n"
	"  -b, --broker HOST:PORT\n"
	"  -t, --topic NAME\n"
	"  -g, --group NAME   consumer group; its offsets are not touched (escrow-pull)\n"
	"  -q, --queues N     queues to read, from 0 on, one connection each (4)\n"
	"  -m, --count N      messages asked for at once (64)\n"
	"  -l, --limit N      messages to read of each queue; 0: all (0)\n"
	"      --json         one line of JSON\n";

static void fail_usage(const char *what)
{
	fprintf(stderr, "escrow-pull: %s\n%s", what, usage);
	exit(EXIT_FAILED);
}

static uint64_t number(const char *text, uint64_t low, uint64_t high)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (end == text || *end != '\0' || value < low || value > high)
		fail_usage("a number is out of range");
	return value;
}

static void parse_options(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{ "broker", required_argument, NULL, 'b' }, { "topic", required_argument, NULL, 't' },
		{ "group", required_argument, NULL, 'g' },  { "queues", required_argument, NULL, 'q' },
		{ "count", required_argument, NULL, 'm' },  { "limit", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },	    { NULL, 0, NULL, 0 },
	};
	int option;

	*o = (struct options){ .group = "escrow-pull", .queue_count = 4, .count = 64 };
	while ((option = getopt_long(argc, argv, "b:t:g:q:m:l:", names, NULL)) != -1) {
		switch (option) {
		case 'b': o->broker = optarg; break;
		case 't': o->topic = optarg; break;
		case 'g': o->group = optarg; break;
		case 'q': o->queue_count = (uint32_t)number(optarg, 1, QUEUES_MAX); break;
		case 'm': o->count = (uint32_t)number(optarg, 1, COUNT_MAX); break;
		case 'l': o->limit = number(optarg, 0, UINT64_MAX); break;
		case 'j': o->json = true; break;
		default: fail_usage("unknown option");
		}
	}
	if (optind != argc || o->broker == NULL || o->topic == NULL)
		fail_usage("--broker and --topic are needed");
}

/* Walks over the messages of one answer; *offset becomes the one behind the last. */
static enum status count_messages(struct queue *queue, struct span body, int64_t *offset)
{
	while (body.size >= RECORD_SIZE_MIN) {
		uint32_t size = get_u32(body.data);
		int64_t at = (int64_t)get_u64(body.data + RECORD_OFFSET_AT);

		if (size < RECORD_SIZE_MIN || size > body.size || get_u32(body.data + RECORD_QUEUE_AT) != queue->id)
			break;
		queue->gaps += at != *offset;
		*offset = at + 1;
		queue->messages++;
		queue->bytes += size;
		body.data += size;
		body.size -= size;
	}
	if (body.size == 0)
		return ST_OK;
	return errinfo_set(&queue->err, ST_INVALID, "queue %u: what follows offset %" PRId64 " is no message of it", queue->id, *offset);
}

static enum status read_queue(struct queue *queue, int fd, struct buffer *request, struct buffer *answer)
{
	const struct options *o = queue->options;
	struct header header = { 0 };
	int64_t offset = 0;

	while (o->limit == 0 || queue->messages < o->limit) {
		if (!frames_put_pull(request, OPAQUE_BASE + queue->id, o->group, o->topic, queue->id, offset, o->count))
			return errinfo_set(&queue->err, ST_NOMEM, "out of memory");
		enum status status = dial_call(fd, request, answer, &header, &queue->err);
		if (status != ST_OK)
			return status;
		queue->pulls++;
		if (header.code == RESPONSE_PULL_NOT_FOUND)
			return ST_OK;
		if (header.code == 0)
			status = count_messages(queue, header.body, &offset);
		else if ((header.code == RESPONSE_PULL_OFFSET_MOVED || header.code == RESPONSE_PULL_RETRY) && header.next_offset >= 0)
			offset = header.next_offset;
		else
			status = errinfo_set(&queue->err, ST_INVALID, "queue %u: code %d: %.*s", queue->id, header.code,
					     SPAN_ARGS(header.remark));
		if (status != ST_OK)
			return status;
	}
	return ST_OK;
}

static void *queue_main(void *context)
{
	struct queue *queue = context;
	struct buffer request, answer;
	int fd;

	buffer_init(&request, 0);
	buffer_init(&answer, FRAME_LIMIT);
	queue->status = dial_connect(queue->options->broker, &fd, &queue->err);
	if (queue->status == ST_OK) {
		queue->status = read_queue(queue, fd, &request, &answer);
		close(fd);
	}
	buffer_deinit(&request);
	buffer_deinit(&answer);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct queue queues[QUEUES_MAX];
	struct options options;
	struct queue sum = { 0 };
	uint32_t started = 0;

	parse_options(&options, argc, argv);
	int64_t begin_ns = dial_now_ns();
	for (; started < options.queue_count; started++) {
		queues[started] = (struct queue){ .options = &options, .id = started };
		if (pthread_create(&queues[started].thread, NULL, queue_main, &queues[started]) != 0)
			break;
	}
	for (uint32_t i = 0; i < started; i++) {
		pthread_join(queues[i].thread, NULL);
		sum.messages += queues[i].messages;
		sum.bytes += queues[i].bytes;
		sum.pulls += queues[i].pulls;
		sum.gaps += queues[i].gaps;
		if (queues[i].status != ST_OK)
			fprintf(stderr, "escrow-pull: %s\n", queues[i].err.text);
		sum.status |= queues[i].status;
	}
	double seconds = (double)(dial_now_ns() - begin_ns) / 1e9;
	printf(options.json ? "{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"pulls\":%" PRIu64 ",\"gaps\":%" PRIu64
			      ",\"seconds\":%.3f,\"messages_per_s\":%.0f,\"mb_per_s\":%.1f}\n"
			    : "%" PRIu64 " messages, %" PRIu64 " bytes, %" PRIu64 " pulls, %" PRIu64
			      " gaps in %.3f s: %.0f messages/s, %.1f MB/s\n",
	       sum.messages, sum.bytes, sum.pulls, sum.gaps, seconds, (double)sum.messages / seconds,
	       (double)sum.bytes / seconds / 1e6);
	if (sum.status != ST_OK || started < options.queue_count)
		return EXIT_FAILED;
	return sum.gaps == 0 ? 0 : EXIT_UNCLEAN;
}
