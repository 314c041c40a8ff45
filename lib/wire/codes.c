#include "lib/wire/codes.h"

const char *request_code_name(int code)
{
	switch (code) {
#define REQUEST_CODE_NAME(name, number) \
	case number: return #name;
		REQUEST_CODE_MAP(REQUEST_CODE_NAME)
#undef REQUEST_CODE_NAME
	default: return "UNKNOWN";
	}
}

const char *response_code_name(int code)
{
	switch (code) {
#define RESPONSE_CODE_NAME(name, number) \
	case number: return #name;
		RESPONSE_CODE_MAP(RESPONSE_CODE_NAME)
#undef RESPONSE_CODE_NAME
	default: return "UNKNOWN";
	}
}
