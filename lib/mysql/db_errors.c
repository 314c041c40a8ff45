/* Error numbers of MySQL, MariaDB and their client library, by what a caller can do about them. See db_conn.h.
 *
 * Numbers, not the headers' names: each of the two servers has some that the other's headers lack. */
#include "lib/mysql/db_conn.h"

struct number_class {
	unsigned number;
	enum db_error_class class;
};

static const struct number_class known[] = {
	{ 0, DB_ERROR_NONE },

	{ 1053, DB_ERROR_LOST }, /* server is shutting down */
	{ 1152, DB_ERROR_LOST }, { 1158, DB_ERROR_LOST }, { 1159, DB_ERROR_LOST }, { 1160, DB_ERROR_LOST },
	{ 1161, DB_ERROR_LOST }, { 1184, DB_ERROR_LOST }, /* network, aborted connection */
	{ 1180, DB_ERROR_LOST }, /* error during COMMIT: look */
	{ 1927, DB_ERROR_LOST }, { 3169, DB_ERROR_LOST }, { 4031, DB_ERROR_LOST }, /* connection killed, idle too long */
	{ 2002, DB_ERROR_LOST }, { 2003, DB_ERROR_LOST }, { 2005, DB_ERROR_LOST }, { 2006, DB_ERROR_LOST },
	{ 2012, DB_ERROR_LOST }, { 2013, DB_ERROR_LOST }, { 2055, DB_ERROR_LOST },

	{ 1213, DB_ERROR_DEADLOCK }, { 1614, DB_ERROR_DEADLOCK },
	{ 1020, DB_ERROR_DEADLOCK }, /* record has changed since last read (snapshot isolation) */
	{ 1205, DB_ERROR_LOCK_WAIT }, { 3572, DB_ERROR_LOCK_WAIT },

	{ 1022, DB_ERROR_DUPLICATE }, { 1062, DB_ERROR_DUPLICATE }, { 1169, DB_ERROR_DUPLICATE },
	{ 1586, DB_ERROR_DUPLICATE },

	{ 1207, DB_ERROR_READ_ONLY }, { 1223, DB_ERROR_READ_ONLY }, { 1290, DB_ERROR_READ_ONLY },
	{ 1792, DB_ERROR_READ_ONLY }, { 1836, DB_ERROR_READ_ONLY },

	{ 3, DB_ERROR_FULL }, { 1021, DB_ERROR_FULL }, { 1026, DB_ERROR_FULL }, { 1114, DB_ERROR_FULL },

	{ 1030, DB_ERROR_RETRY }, /* error from the storage engine */
	{ 1037, DB_ERROR_RETRY }, { 1038, DB_ERROR_RETRY }, { 1041, DB_ERROR_RETRY }, { 2008, DB_ERROR_RETRY },
	{ 1040, DB_ERROR_RETRY }, { 1129, DB_ERROR_RETRY }, { 1135, DB_ERROR_RETRY }, { 1203, DB_ERROR_RETRY },
	{ 1226, DB_ERROR_RETRY }, /* too many connections, threads, statements an hour */
	{ 1047, DB_ERROR_RETRY }, /* cluster node not ready */
	{ 1317, DB_ERROR_RETRY }, { 1969, DB_ERROR_RETRY }, { 3024, DB_ERROR_RETRY }, /* interrupted, time limit */
	{ 1412, DB_ERROR_RETRY }, { 1598, DB_ERROR_RETRY },

	{ 1049, DB_ERROR_SCHEMA }, { 1051, DB_ERROR_SCHEMA }, { 1054, DB_ERROR_SCHEMA }, { 1109, DB_ERROR_SCHEMA },
	{ 1136, DB_ERROR_SCHEMA }, { 1146, DB_ERROR_SCHEMA }, { 1305, DB_ERROR_SCHEMA }, { 1356, DB_ERROR_SCHEMA },
	{ 1364, DB_ERROR_SCHEMA }, { 1526, DB_ERROR_SCHEMA },

	{ 1044, DB_ERROR_DENIED }, { 1045, DB_ERROR_DENIED }, { 1142, DB_ERROR_DENIED }, { 1143, DB_ERROR_DENIED },
	{ 1156, DB_ERROR_DENIED }, { 1227, DB_ERROR_DENIED }, { 1251, DB_ERROR_DENIED }, { 1370, DB_ERROR_DENIED },
	{ 1410, DB_ERROR_DENIED }, { 1698, DB_ERROR_DENIED }, { 1820, DB_ERROR_DENIED }, { 1862, DB_ERROR_DENIED },
	{ 2026, DB_ERROR_DENIED }, { 2049, DB_ERROR_DENIED }, { 2059, DB_ERROR_DENIED }, { 2061, DB_ERROR_DENIED },
	{ 3118, DB_ERROR_DENIED }, { 3159, DB_ERROR_DENIED }, { 4151, DB_ERROR_DENIED },
};

enum db_error_class db_error_class_of(unsigned number)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].number == number)
			return known[i].class;
	}
	return DB_ERROR_OTHER;
}

const char *db_error_class_text(enum db_error_class class)
{
	switch (class) {
	case DB_ERROR_NONE: return "no error";
	case DB_ERROR_LOST: return "connection lost";
	case DB_ERROR_DEADLOCK: return "deadlock";
	case DB_ERROR_LOCK_WAIT: return "lock wait";
	case DB_ERROR_DUPLICATE: return "duplicate";
	case DB_ERROR_READ_ONLY: return "read-only";
	case DB_ERROR_FULL: return "no space";
	case DB_ERROR_RETRY: return "temporary";
	case DB_ERROR_SCHEMA: return "schema";
	case DB_ERROR_DENIED: return "denied";
	case DB_ERROR_OTHER: return "error";
	}
	return "error";
}

enum status db_error_class_status(enum db_error_class class)
{
	switch (class) {
	case DB_ERROR_NONE: return ST_OK;
	case DB_ERROR_LOST: return ST_IO;
	case DB_ERROR_DEADLOCK: return ST_BUSY;
	case DB_ERROR_LOCK_WAIT: return ST_TIMEOUT;
	case DB_ERROR_DUPLICATE: return ST_EXISTS;
	case DB_ERROR_READ_ONLY: return ST_DENIED;
	case DB_ERROR_FULL: return ST_FULL;
	case DB_ERROR_RETRY: return ST_BUSY;
	case DB_ERROR_SCHEMA: return ST_NOTFOUND;
	case DB_ERROR_DENIED: return ST_DENIED;
	case DB_ERROR_OTHER: return ST_INVALID;
	}
	return ST_INVALID;
}
