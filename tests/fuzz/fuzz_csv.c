/* fuzz_csv.c: any bytes as comma-separated values: they end in records of the header's length,
 * NUL-terminated valid text each, or in an error that says where. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "data/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct csv c;
    struct err err = {0};
    size_t blocks = mem_stats().live_blocks, at;
    int got = csv_open(&c, data, size, "fuzz.csv", &err) ? -1 : 1;
    if (got == 1)
        CHECK(csv_column(&at, &c, c.columns[c.n_columns - 1].data, &err) == 0);
    while (got == 1 && (got = csv_next(&c, &err)) == 1)
        for (size_t i = 0; i < c.n_columns; i++)
            CHECK(strlen(c.fields[i].data) == c.fields[i].length &&
                  utf8_valid(c.fields[i].data, c.fields[i].length));
    CHECK(got == 0 || (err.code == ERR_INPUT && err.message[0] && err.where[0]));
    csv_close(&c);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}
