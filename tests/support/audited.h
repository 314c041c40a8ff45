/* The audit of a store, for whoever has just made one: every record of its log through lib/audit. */
#ifndef ESCROW_TESTS_AUDITED_H
#define ESCROW_TESTS_AUDITED_H

#include "lib/audit/audit.h"
#include "lib/audit/observed.h"
#include "lib/log/vfs.h"

/* Reads the log under `root` to its valid end. Violations go to standard error, one a line. `observed` (may be NULL)
 * gets the records too. Aborts when the log cannot be read. */
struct audit_facts audited_store(const struct vfs *vfs, const char *root, struct observed *observed);
/* Prints one violation to standard error; an audit_report, without context. */
void audited_print(void *context, const struct audit_violation *violation);

#endif
