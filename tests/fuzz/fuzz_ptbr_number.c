/* fuzz_ptbr_number.c: Brazilian numbers in any bytes. What must hold: finite values, progress in
 * running text, and that what is cut out of it as a number reads as the same number. */
#include <math.h>
#include <stdint.h>
#include "base/check.h"
#include "reward/ptbr_number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct ptbr_number n, again;
    if (ptbr_number_read(&n, text, size))
        CHECK(isfinite(n.value) && n.unit > 0);
    size_t at = 0, start;
    for (size_t before = 0; ptbr_number_next(&n, text, size, &at, &start); before = at) {
        CHECK(before <= start && start < at && at <= size);
        CHECK(isfinite(n.value) && n.unit > 0);
        CHECK(ptbr_number_read(&again, text + start, at - start));
        CHECK(again.value == n.value && again.percent == n.percent);
    }
    CHECK(at == size);
    return 0;
}
