/* LanguageCode: the names that command headers carry. */
#ifndef ESCROW_WIRE_LANGUAGES_H
#define ESCROW_WIRE_LANGUAGES_H

#include <stdint.h>

#include "lib/base/bytes.h"

/* The ordinal, LANGUAGE_OTHER for what we do not know. */
int32_t language_from_name(struct span name);
int32_t language_from_number(struct span number);
/* "JAVA", ...; "OTHER" out of range. */
const char *language_name(int32_t language);

#endif
