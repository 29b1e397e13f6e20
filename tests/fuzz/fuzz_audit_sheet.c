/* fuzz_audit_sheet.c: any bytes as a scored sheet of an audit of three completions: scores within 0
 * and 10, or an error that says where and leaves the audit as it was. And the same bytes as a
 * completion: its sheet reads back, and no field or line of it begins a formula. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "data/csv.h"
#include "eval/audit_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scores(const uint8_t *data, size_t size)
{
    struct audit_item items[3] = {{.id = "a", .completion = ""},
                                  {.id = "=b", .completion = ""},
                                  {.id = "ç;\"", .completion = ""}};
    struct audit a = {.items = items, .n = 3};
    struct err err = {0};
    if (audit_sheet_read(&a, data, size, "fuzz.csv", false, &err)) {
        CHECK(err.code == ERR_INPUT && err.message[0] && err.where[0]);
        CHECK(audit_count(&a, AUDIT_OPEN) == 3);
    }
    for (int i = 0; i < 3; i++)
        CHECK(items[i].mark != AUDIT_SCORED || (items[i].human >= 0 && items[i].human <= 10));
}

static void check_sheet(const uint8_t *data, size_t size)
{
    struct audit_item item = {.id = "a",
                              .task = "t",
                              .prompt = "p",
                              .reference = "",
                              .completion = (const char *)data,
                              .completion_length = size};
    struct audit a = {.items = &item, .n = 1};
    struct str text = {0};
    struct csv csv;
    struct err err;
    audit_sheet_write(&text, &a);
    CHECK(audit_sheet_read(&a, str_text(&text), text.length, "own.csv", false, &err) == 0);
    CHECK(csv_open(&csv, str_text(&text), text.length, "own.csv", &err) == 0);
    CHECK(csv_next(&csv, &err) == 1);
    const char *field = csv.fields[3].data;
    for (const char *p = field; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        CHECK(!*p || !strchr("=+-@\t\r", *p));
    CHECK(csv_next(&csv, &err) == 0);
    csv_close(&csv);
    str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t blocks = mem_stats().live_blocks;
    check_scores(data, size);
    check_sheet(data, size);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}
