/* Where do the key-value settings stay when the name server restarts? In a file, as RocketMQ writes it:
 * {"configTable":{"namespace":{"key":"value"}}}. It is written anew as a whole, under another name first, and synced.
 * Threads: the loop thread; saving blocks on the disk, which these rare changes may. */
#ifndef ESCROW_NAMESRV_KV_FILE_H
#define ESCROW_NAMESRV_KV_FILE_H

#include "namesrv/kv.h"

/* Takes in what the file holds; one that is not there holds nothing. ST_IO, ST_INVALID (not such a file), ST_TOOBIG, ST_FULL. */
enum status kv_file_load(struct kv *kv, const char *path, struct errinfo *err) MUST_USE;
/* ST_IO, ST_NOMEM: the file is as it was. */
enum status kv_file_save(const struct kv *kv, const char *path, struct errinfo *err) MUST_USE;

#endif
