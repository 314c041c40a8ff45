/* See audited.h. */
#include "tests/support/audited.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/log/logreader.h"

void audited_print(void *context, const struct audit_violation *violation)
{
	(void)context;
	fprintf(stderr, "audit: %s violated at log offset %" PRIu64 ": %s\n", audit_invariant_code(violation->invariant),
		violation->offset, violation->text);
}

static void give_up(const char *what, const char *root, const struct errinfo *err)
{
	fprintf(stderr, "audit of %s: %s: %s\n", root, what, err->text);
	abort();
}

struct audit_facts audited_store(const struct vfs *vfs, const char *root, struct observed *observed)
{
	struct audit *audit = audit_create(audited_print, NULL);
	struct logreader *reader = NULL;
	struct log_record record;
	struct audit_facts facts;
	struct errinfo err = { 0 };
	enum status status = audit == NULL ? ST_NOMEM : logreader_open(vfs, root, 0, &reader, &err);

	if (status != ST_OK)
		give_up("open", root, &err);
	while ((status = logreader_next(reader, LOG_NO_LIMIT, &record, &err)) == ST_OK) {
		if (audit_record(audit, &record, &err) != ST_OK ||
		    (observed != NULL && observed_record(observed, &record, &err) != ST_OK))
			give_up("record", root, &err);
	}
	/* A torn tail ends the log like zeros do; whether it is one, or damage, is not this one's question. */
	if (status != ST_AGAIN && logreader_bad_record(reader) == NULL)
		give_up("read", root, &err);
	audit_facts(audit, &facts);
	logreader_close(reader);
	audit_destroy(audit);
	return facts;
}
