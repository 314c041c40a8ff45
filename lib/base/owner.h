/* From a member to the structure that holds it: for callbacks that get the member they were given.
 *
 * Threads: pure. */
#ifndef ESCROW_BASE_OWNER_H
#define ESCROW_BASE_OWNER_H

#include <stddef.h>

#define OWNER(type, pointer, member) ((type *)((char *)(pointer) - offsetof(type, member)))

#endif
