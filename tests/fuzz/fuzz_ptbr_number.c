/* fuzz_ptbr_number.c: Brazilian numbers in any bytes. What must hold: finite values, progress in
 * running text, that what is cut out of it as a number reads as the same number, and time in
 * proportion to the text. */
#include <math.h>
#include <stdint.h>
#include <time.h>
#include "base/check.h"
#include "reward/ptbr_number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct ptbr_number n, again;
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
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
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    CHECK(seconds < 0.5 + 2e-5 * (double)size); /* with sanitizers, on a busy machine */
    return 0;
}
