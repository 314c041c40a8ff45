#include "lib/wire/msgid.h"

static size_t put_hex(char *out, const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < size; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	return 2 * size;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

size_t offset_msg_id_encode(const struct host *store_host, int64_t physical_offset, char out[MSGID_TEXT_SIZE])
{
	uint8_t bytes[28];
	size_t ip_size = store_host->ip_size == 16 ? 16 : 4;

	memcpy(bytes, store_host->ip, ip_size);
	put_u32(bytes + ip_size, (uint32_t)store_host->port);
	put_u64(bytes + ip_size + 4, (uint64_t)physical_offset);
	size_t size = put_hex(out, bytes, ip_size + 12);
	out[size] = '\0';
	return size;
}

enum status offset_msg_id_decode(struct span id, struct host *store_host, int64_t *physical_offset)
{
	uint8_t bytes[28];

	if (id.size != 32 && id.size != 56)
		return ST_INVALID;
	for (size_t i = 0; i < id.size / 2; i++) {
		int high = hex_digit(id.data[2 * i]), low = hex_digit(id.data[2 * i + 1]);

		if (high < 0 || low < 0)
			return ST_INVALID;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	size_t ip_size = id.size / 2 - 12;

	*store_host = (struct host){ .ip_size = (uint8_t)ip_size, .port = (int32_t)get_u32(bytes + ip_size) };
	memcpy(store_host->ip, bytes, ip_size);
	*physical_offset = (int64_t)get_u64(bytes + ip_size + 4);
	return *physical_offset < 0 ? ST_INVALID : ST_OK;
}

void unique_id_init(struct unique_id *source, uint32_t ipv4, uint32_t process_id, uint32_t salt)
{
	*source = (struct unique_id){ .counter = 0 };
	put_u32(source->prefix, ipv4);
	put_u16(source->prefix + 4, (uint16_t)process_id);
	put_u32(source->prefix + 6, salt);
}

/* Days since 1970 of the first of a month; the usual calendar arithmetic on years that begin in March. */
static int64_t days_from_civil(int64_t year, int64_t month)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t shifted = month > 2 ? month - 3 : month + 9;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * shifted + 2) / 5;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

enum { DAY_MS = 24 * 3600 * 1000 };

static void find_month(struct unique_id *source, int64_t now_ms)
{
	/* Years average 365.2425 days: the guess is at most a year off. */
	int64_t year = 1970 + now_ms / ((int64_t)DAY_MS * 365) - 1;

	while (days_from_civil(year + 1, 1) * DAY_MS <= now_ms)
		year++;
	while (days_from_civil(year, 1) * DAY_MS > now_ms)
		year--;
	int64_t month = 1;
	while (month < 12 && days_from_civil(year, month + 1) * DAY_MS <= now_ms)
		month++;
	source->month_start_ms = days_from_civil(year, month) * DAY_MS;
	source->month_end_ms = (month == 12 ? days_from_civil(year + 1, 1) : days_from_civil(year, month + 1)) * DAY_MS;
}

void unique_id_next(struct unique_id *source, int64_t now_ms, char out[UNIQUE_ID_TEXT_SIZE])
{
	uint8_t bytes[16];

	if (now_ms < source->month_start_ms || now_ms >= source->month_end_ms)
		find_month(source, now_ms);
	memcpy(bytes, source->prefix, sizeof(source->prefix));
	put_u32(bytes + 10, (uint32_t)(now_ms - source->month_start_ms));
	put_u16(bytes + 14, source->counter++);
	out[put_hex(out, bytes, sizeof(bytes))] = '\0';
}
