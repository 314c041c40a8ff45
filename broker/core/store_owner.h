/* Whose is this store?
 *
 * <store>/broker names its broker: "brokerName=NAME" and a newline. Two brokers of a cluster differ in nothing else that the
 * store records, so a wrong directory, or a backup brought back to the wrong place, would serve another broker's messages under
 * this one's name. A store without the file (of an older version, or restored by escrow-log) takes the first name that comes.
 * Threads: any one, at a start. Blocks on the disk. */
#ifndef ESCROW_CORE_STORE_OWNER_H
#define ESCROW_CORE_STORE_OWNER_H

#include "lib/base/status.h"
#include "lib/log/vfs.h"

/* Before anything in the store is touched: a start cuts the log's torn tail and writes to it. ST_INVALID: another broker's; the
 * text says what to do. ST_OK also for nobody's. ST_IO. */
enum status store_owner_check(const struct vfs *vfs, const char *root, const char *broker_name, struct errinfo *err) MUST_USE;

/* With the store's lock: the same, and nobody's becomes this broker's. On a full disk the name is not recorded, with a warning. */
enum status store_owner_take(const struct vfs *vfs, const char *root, const char *broker_name, struct errinfo *err) MUST_USE;

#endif
