/* See check_pages.h. */
#include "tools/log/check_pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { WRITE_MS = 200 }; /* A writer that was stopped in the middle of a page goes on, if the machine is not at its end. */

/* A snapshot that was replaced since says nothing of the pages. */
static enum status begin(struct check_pages *pages, struct errinfo *err)
{
	const struct snapshot_item *newest = snapshots_newest(pages->snapshots);

	if (pages->begun || newest == NULL || pages->snapshots->index_lost)
		return ST_OK;
	pages->begun = true;
	enum status status = pages_open(vfs_posix(), pages->store, newest->from, &pages->look, err);
	const char *why = status == ST_CORRUPT ? "it cannot be read again" : status == ST_OK ? pages_problem(pages->look) : NULL;
	if (why != NULL)
		snprintf(pages->problem, sizeof(pages->problem), "the newest snapshot contradicts itself: %s", why);
	return status == ST_NOTFOUND || status == ST_CORRUPT ? ST_OK : status;
}

enum status check_pages_see(struct check_pages *pages, const struct log_record *record, struct errinfo *err)
{
	enum status status = begin(pages, err);

	if (status == ST_OK && pages->look != NULL)
		pages_see(pages->look, record);
	return status;
}

enum status check_pages_run(struct check_pages *pages, struct errinfo *err)
{
	enum status status = begin(pages, err);

	bool suspects = false;

	if (status != ST_OK || pages->look == NULL)
		return status;
	status = pages_check(pages->look, &suspects, err);
	if (suspects && pages->in_use)
		(void)nanosleep(&(struct timespec){ .tv_nsec = WRITE_MS * 1000L * 1000 }, NULL);
	return status == ST_OK ? pages_check_again(pages->look, &pages->damages, &pages->count, err) : status;
}

void check_pages_free(struct check_pages *pages)
{
	pages_free(pages->look);
	*pages = (struct check_pages){ 0 };
}

/* --- printing ------------------------------------------------------------------------------------------------------- */

static void print_page(const struct page_damage *damage)
{
	struct buffer topic;

	buffer_init(&topic, 0);
	text_for_people(damage->topic, &topic);
	if (damage->no_page)
		printf("DAMAGE      index.pages: entry %" PRIu64 " of ", damage->entry);
	else
		printf("DAMAGE      index.pages byte %" PRIu64 ": entry %" PRIu64 " of ", damage->byte, damage->entry);
	if (damage->topic.size == 0)
		printf("the half index");
	else
		printf("%.*s/%" PRIu32, SPAN_ARGS(buffer_span(&topic)), damage->queue_id);
	printf(": %s", damage->reason);
	if (damage->count > 1)
		printf(" (and %" PRIu64 " more%s)", damage->count - 1, damage->no_page ? " behind it" : " of this page");
	printf("\n");
	buffer_deinit(&topic);
}

static void print_page_json(const struct page_damage *damage, struct lines *lines)
{
	line_begin(lines, "index_damage");
	line_word(lines, "file", "index.pages");
	if (!damage->no_page)
		line_u64(lines, "byte", damage->byte);
	line_text(lines, "topic", damage->topic); /* null: the half index. */
	line_u64(lines, "queue", damage->queue_id);
	line_u64(lines, "entry", damage->entry);
	line_u64(lines, "entries", damage->count);
	line_word(lines, "reason", damage->reason);
	line_end(lines);
}

void check_pages_print(const struct check_pages *pages, bool log_damaged, struct lines *lines)
{
	size_t shown = pages->count < PAGES_DAMAGES_MAX ? pages->count : PAGES_DAMAGES_MAX;

	for (size_t i = 0; i < shown; i++) {
		if (lines->json)
			print_page_json(&pages->damages[i], lines);
		else
			print_page(&pages->damages[i]);
	}
	if (shown == 0 || lines->json)
		return;
	if (pages->count > shown)
		printf("            and %zu more pages\n", pages->count - shown);
	printf("            Messages are not lost: whoever reads such an entry is refused. %s\n",
	       log_damaged ? "To build the file anew, a start must read all of the log, which is damaged: mend that first." :
			     "Stop the broker, remove index.pages and start: it is built anew from the log.");
}
