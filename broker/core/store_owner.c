#include "broker/core/store_owner.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/logging.h"
#include "lib/log/vfs_replace.h"

enum { TEXT_SIZE = 1024, PATH_SIZE = 640 };
static const char FIELD[] = "brokerName=";

static enum status read_text(const struct vfs *vfs, const char *path, char text[TEXT_SIZE], struct errinfo *err)
{
	struct vfs_file *file;
	size_t got = 0;
	enum status status = vfs_open(vfs, path, VFS_READ, &file, err);

	if (status != ST_OK)
		return status;
	status = vfs_read(file, 0, text, TEXT_SIZE - 1, &got, err);
	text[got] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	vfs_close(file);
	return status;
}

static enum status write_text(struct vfs_file *file, const void *text, struct errinfo *err)
{
	struct vfs_piece piece = { text, strlen(text) };

	return vfs_write(file, 0, &piece, 1, err);
}

static enum status record(const struct vfs *vfs, const char *path, const char *broker_name, struct errinfo *err)
{
	char text[TEXT_SIZE];
	struct errinfo why;

	snprintf(text, sizeof(text), "%s%.900s\n", FIELD, broker_name);
	enum status status = vfs_replace(vfs, path, write_text, text, &why);
	if (status == ST_FULL) {
		log_warn("store", "the broker's name is not recorded", "reason=\"%s\" note=\"the next start tries again\"", why.text);
		return ST_OK;
	}
	if (status != ST_OK && err != NULL)
		*err = why;
	return status;
}

static void owner_path(const char *root, char out[PATH_SIZE])
{
	snprintf(out, PATH_SIZE, "%.600s/broker", root);
}

/* ST_NOTFOUND: nobody's yet. */
static enum status compare(const struct vfs *vfs, const char *root, const char *broker_name, struct errinfo *err)
{
	char path[PATH_SIZE], text[TEXT_SIZE] = "";

	owner_path(root, path);
	enum status status = read_text(vfs, path, text, err);
	if (status != ST_OK)
		return status;
	if (strncmp(text, FIELD, strlen(FIELD)) != 0)
		return errinfo_set(err, ST_INVALID, "%.300s names no broker: if the store is this broker's, remove the file", path);
	if (strcmp(text + strlen(FIELD), broker_name) == 0)
		return ST_OK;
	return errinfo_set(err, ST_INVALID, "%.160s is the store of broker \"%.100s\", not \"%.100s\": choose another store directory, or set "
			   "brokerName to the store's; to give it to this broker for good, remove %.160s", root, text + strlen(FIELD),
			   broker_name, path);
}

enum status store_owner_check(const struct vfs *vfs, const char *root, const char *broker_name, struct errinfo *err)
{
	enum status status = compare(vfs, root, broker_name, err);

	return status == ST_NOTFOUND ? ST_OK : status;
}

enum status store_owner_take(const struct vfs *vfs, const char *root, const char *broker_name, struct errinfo *err)
{
	char path[PATH_SIZE];
	enum status status = compare(vfs, root, broker_name, err);

	if (status != ST_NOTFOUND)
		return status;
	owner_path(root, path);
	return record(vfs, path, broker_name, err);
}
