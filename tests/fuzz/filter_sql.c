/* SQL92 expressions of consumers, run on properties of producers: the input is the expression, a zero byte, the properties. */
#include <stdlib.h>
#include <string.h>

#include "lib/filter/sql_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size == 0 ? NULL : memchr(data, 0, size);
	struct span expression = { data, end == NULL ? size : (size_t)(end - data) };
	struct span properties = end == NULL ? SPAN_NONE : (struct span){ end + 1, size - expression.size - 1 };
	struct sql_filter *filter;
	struct errinfo err = { .text = "" };

	enum status status = sql_filter_compile(expression, &filter, &err);
	if ((status == ST_OK) != (filter != NULL) || (status != ST_OK && err.text[0] == '\0'))
		abort();
	if (status == ST_OK && sql_filter_match(filter, properties) != sql_filter_match(filter, properties))
		abort();
	sql_filter_free(filter);
	return 0;
}
