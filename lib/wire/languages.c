#include "lib/wire/languages.h"

#include "lib/wire/codes.h"

static const char *const names[LANGUAGE_COUNT] = {
#define LANGUAGE_NAME(name, number) [number] = #name,
	LANGUAGE_MAP(LANGUAGE_NAME)
#undef LANGUAGE_NAME
};

int32_t language_from_name(struct span name)
{
	for (int32_t i = 0; i < LANGUAGE_COUNT; i++) {
		if (span_is(name, names[i]))
			return i;
	}
	return LANGUAGE_OTHER;
}

int32_t language_from_number(struct span number)
{
	int32_t value;

	if (span_to_i32(number, &value) != ST_OK || value < 0 || value >= LANGUAGE_COUNT)
		return LANGUAGE_OTHER;
	return value;
}

const char *language_name(int32_t language)
{
	return language >= 0 && language < LANGUAGE_COUNT ? names[language] : names[LANGUAGE_OTHER];
}
