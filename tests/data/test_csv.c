/* test_csv.c: RFC 4180: what every form means, every refusal with its place, any bytes at all, and
 * memory that runs out. */
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/csv.h"

static struct err err;

/* All records as "a|b\n", the header first; "" and err on an error. */
static struct str told(const void *text, size_t size)
{
    struct csv c;
    struct str out = {0};
    int got = -1;
    memset(&err, 0, sizeof err);
    if (!csv_open(&c, text, size, "f.csv", &err)) {
        for (size_t i = 0; i < c.n_columns; i++)
            str_printf(&out, "%s%s", i ? "|" : "", c.columns[i].data);
        while ((got = csv_next(&c, &err)) == 1) {
            str_putc(&out, '\n');
            for (size_t i = 0; i < c.n_columns; i++) {
                str_printf(&out, "%s", i ? "|" : "");
                str_append(&out, c.fields[i].data, c.fields[i].length);
            }
        }
    }
    csv_close(&c);
    if (got < 0)
        str_clear(&out);
    return out;
}

static void means(const char *text, const char *expected)
{
    struct str out = told(text, strlen(text));
    if (strcmp(str_text(&out), expected) != 0 || err.code)
        fail_msg("\"%s\" is \"%s\" (%s: %s), expected \"%s\"", text, str_text(&out), err.where,
                 err.message, expected);
    str_free(&out);
}

static void test_forms(void **state)
{
    (void)state;
    means("a,b\n1,2\n3,4\n", "a|b\n1|2\n3|4");
    means("a,b\r\n1,2\r\n3,4", "a|b\n1|2\n3|4");
    means("a,b\r1,2\r", "a|b\n1|2");
    means("\xEF\xBB\xBF"
          "a,b\n1,2",
          "a|b\n1|2");
    means("\xEF\xBB\xBF\"a\",b\n", "a|b");
    means("a,b\n,\n", "a|b\n|");
    means("a,b\n\n\r\n1,2\n\n", "a|b\n1|2");
    means("\n\na\nx", "a\nx");
    means("a\n\"\"\n", "a\n");
    means("a,b\n\"1,2\",\"say \"\"hi\"\"\"\n", "a|b\n1,2|say \"hi\"");
    means("a,b\n\"x\ny\r\nz\",\"\n\"", "a|b\nx\ny\r\nz|\n");
    means("a,b\n\"\"\"\",\"\"\"\"\"\"\n", "a|b\n\"|\"\"");
    means("a,b\n 1 , 2 \n", "a|b\n 1 | 2 ");
    means("a,b\n\xC3\xA7,\xF0\x9F\x98\x8A\n", "a|b\n\xC3\xA7|\xF0\x9F\x98\x8A");
    means("a", "a");
}

static void refused(const char *text, size_t size, const char *where, const char *part)
{
    size_t blocks = mem_stats().live_blocks;
    struct str out = told(text, size);
    str_free(&out);
    assert_int_equal(err.code, ERR_INPUT);
    if (strcmp(err.where, where) != 0 || !strstr(err.message, part))
        fail_msg("\"%s\": %s: %s; expected %s: %s", text, err.where, err.message, where, part);
    assert_int_equal(mem_stats().live_blocks, blocks);
}
#define REFUSED(text, where, part) refused(text, sizeof text - 1, where, part)

static void test_refused(void **state)
{
    (void)state;
    REFUSED("", "f.csv", "is empty");
    REFUSED("\xEF\xBB\xBF\r\n\n", "f.csv", "is empty");
    REFUSED("a,b,a\n", "f.csv, header", "the column \"a\" twice");
    REFUSED("a,\"b\n", "f.csv, header", "never closed");
    REFUSED("a,b\n1,2\n\n\"x\ny\",3\n4,\"5\n6,7\n", "f.csv, row 3 (line 6), column b",
            "never closed");
    REFUSED("a,b\n1,\"2\"3\n", "f.csv, row 1 (line 2), column b", "behind a closing");
    REFUSED("a,b\n\"1\" ,2\n", "f.csv, row 1 (line 2), column a", "behind a closing");
    REFUSED("a,b\n1,2\"3\n", "f.csv, row 1 (line 2), column b", "within a field");
    REFUSED("a,b\n1\n", "f.csv, row 1 (line 2)", "has 1 fields where the header has 2");
    REFUSED("a,b\n1,2\n1,2,3\n", "f.csv, row 2 (line 3)", "has 3 fields");
    REFUSED("a,b\n\"x\r\ny\rz\",2\n1", "f.csv, row 2 (line 5)", "has 1 fields");
    REFUSED("a,b\r\n1,2\r\n\r\n1\r\n", "f.csv, row 2 (line 4)", "has 1 fields");
    REFUSED("a,b\r1,2\r1\r", "f.csv, row 2 (line 3)", "has 1 fields");
    REFUSED("a,b\n1,\xFF\n", "f.csv, row 1 (line 2), column b", "not valid UTF-8");
    REFUSED("a,b\n1,\xED\xA0\x80\n", "f.csv, row 1 (line 2), column b", "not valid UTF-8");
    REFUSED("a,b\n1,\"x\0y\"\n", "f.csv, row 1 (line 2), column b", "NUL");
    REFUSED("a\0,b\n", "f.csv, header", "NUL");
    char many[600];
    memset(many, ',', sizeof many);
    refused(many, sizeof many, "f.csv, header", "more than 256");
}

static void test_columns(void **state)
{
    (void)state;
    struct csv c;
    size_t at = 9;
    static const char text[] = "order_id,price\n\nx,abc\n";
    assert_int_equal(csv_open(&c, text, sizeof text - 1, "f.csv", &err), 0);
    assert_int_equal(csv_column(&at, &c, "price", &err), 0);
    assert_int_equal(at, 1);
    assert_int_equal(csv_column(&at, &c, "ordr_id", &err), ERR_INPUT);
    assert_string_equal(err.where, "f.csv");
    assert_non_null(strstr(err.message, "no column \"ordr_id\" (did you mean \"order_id\"?); its "
                                        "columns are order_id, price"));
    assert_int_equal(csv_next(&c, &err), 1);
    assert_int_equal(csv_complain(&c, 1, &err, "is \"%s\", expected %d", "abc", 5), ERR_INPUT);
    assert_string_equal(err.where, "f.csv, row 1 (line 3), column price");
    assert_string_equal(err.message, "is \"abc\", expected 5");
    assert_int_equal(csv_next(&c, &err), 0);
    assert_int_equal(csv_next(&c, &err), 0);
    csv_close(&c);
}

/* What a writer puts in quotes comes back, whatever it is. */
static void test_round_trip(void **state)
{
    (void)state;
    static const char letters[] = "a,\"\n\r; ";
    struct rng_key key = {.seed = 3, .purpose = RNG_SYNTH};
    struct str text = {0}, expected = {0};
    uint64_t n = 0;
    for (int round = 0; round < 300; round++) {
        str_clear(&text);
        str_clear(&expected);
        str_puts(&text, "h,i\n");
        str_puts(&expected, "h|i");
        for (int field = 0; field < 8; field++) {
            str_puts(&text, "\"");
            str_puts(&expected, field % 2 ? "|" : "\n");
            for (uint64_t k = rng_below(&key, n++, 7); k > 0; k--) {
                char letter = letters[rng_below(&key, n++, sizeof letters - 1)];
                str_putc(&text, letter);
                if (letter == '"')
                    str_putc(&text, letter);
                str_putc(&expected, letter);
            }
            str_puts(&text, field % 2 ? "\"\r\n" : "\",");
        }
        means(str_text(&text), str_text(&expected));
    }
    str_free(&text);
    str_free(&expected);
}

/* Any bytes end in records or in an error; nothing is left behind. */
static void test_any_bytes(void **state)
{
    (void)state;
    static const char letters[] = "a,\"\n\r\xFF\0\xC3\xA7";
    struct rng_key key = {.seed = 4, .purpose = RNG_SYNTH};
    uint64_t n = 0;
    size_t blocks = mem_stats().live_blocks;
    for (int round = 0; round < 20000; round++) {
        char text[24];
        size_t size = rng_below(&key, n++, sizeof text + 1);
        for (size_t i = 0; i < size; i++)
            text[i] = letters[rng_below(&key, n++, sizeof letters - 1)];
        struct str out = told(text, size);
        assert_true(err.code == ERR_NONE || (err.code == ERR_INPUT && err.message[0]));
        str_free(&out);
    }
    assert_int_equal(mem_stats().live_blocks, blocks);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct str text = {0};
    str_puts(&text, "a,b\n");
    for (int i = 0; i < 50; i++)
        str_printf(&text, "\"a long field, number %d, which needs room\",%0*d\n", i, 20 * i, i);
    size_t blocks = mem_stats().live_blocks;
    struct csv c;
    int got = -1, tries = 0;
    for (; got != 0; tries++) {
        assert_true(tries < 200);
        memset(&err, 0, sizeof err);
        mem_fail_after(tries);
        got = csv_open(&c, str_text(&text), text.length, "f.csv", &err) ? -1 : 1;
        while (got == 1)
            got = csv_next(&c, &err);
        mem_fail_after(-1);
        long rows = c.row;
        csv_close(&c);
        assert_true(got == 0 ? rows == 50 : err.code == ERR_MACHINE);
        assert_int_equal(mem_stats().live_blocks, blocks);
    }
    assert_true(tries > 3);
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_columns),   cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
