/* What does each request and response carry in its fields? Typed headers, decoded and encoded, one file a family.
 *
 * `x_decode` reads a decoded command's fields in one pass; spans borrow from the command. ST_INVALID names the field
 * that is missing or bad (a remark for the peer). An absent optional text is {NULL, 0}; optional numbers take the
 * default in the comment. `x_encode` puts the fields into a command between command_begin and command_body; absent
 * texts (size 0) are left out. Threads: pure. */
#ifndef ESCROW_WIRE_HEADERS_H
#define ESCROW_WIRE_HEADERS_H

#include "lib/wire/header_admin.h"
#include "lib/wire/header_client.h"
#include "lib/wire/header_namesrv.h"
#include "lib/wire/header_offset.h"
#include "lib/wire/header_pop.h"
#include "lib/wire/header_pull.h"
#include "lib/wire/header_send.h"
#include "lib/wire/header_transaction.h"

#endif
