/* The checksum of every record: the fast version equals the simple one at every length and alignment. */
#include "lib/base/crc32c.h"

#include "tests/support/check.h"

static void test_fast_and_portable_versions_agree(void)
{
	static uint8_t data[4096];
	uint64_t random = check_seed(17);

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)check_random(&random);
	for (size_t size = 0; size < 1700; size++) {
		size_t at = check_random(&random) % 16;
		uint32_t before = (uint32_t)check_random(&random);
		CU_ASSERT_EQUAL(crc32c(before, data + at, size), crc32c_portable(before, data + at, size));
	}
	for (size_t cut = 0; cut <= sizeof(data); cut += 13)
		CU_ASSERT_EQUAL(crc32c(crc32c(0, data, cut), data + cut, sizeof(data) - cut),
				crc32c_portable(0, data, sizeof(data)));
}

int main(void)
{
	static const struct check_test tests[] = { CHECK_TEST(test_fast_and_portable_versions_agree) };

	return check_main("crc32c", tests, 1);
}
