/* test_json_repair.c: damaged JSON against what a person would mean by it (two fixtures), where
 * JSON is found, what is said to be repaired, hostile input in linear time, and running out of
 * memory.
 */
#include <stdlib.h>
#include <time.h>
#include "base/sanitizer.h"
#include "cases.h"
#include "reward/json_repair.h"

static char *dump(const json_t *value)
{
    return value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
}

/* Equal as JSON: 10 and 10.0 are the same number. */
static bool same_value(const json_t *a, const json_t *b)
{
    if (!a || !b)
        return a == b;
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++)
            if (!same_value(json_array_get(a, i), json_array_get(b, i)))
                return false;
        return true;
    }
    if (json_is_object(a) && json_is_object(b) && json_object_size(a) == json_object_size(b)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)a, key,
                            value) if (!same_value(value, json_object_get(b, key))) return false;
        return true;
    }
    return json_equal(a, b);
}

static void check_line(const char *line, size_t length, int number, int *wrong)
{
    struct err err = {0};
    json_t *row =
        json_read(line, length, JSON_NUL_ALLOWED | JSON_BIG_INTEGERS, "json_repair.jsonl", &err);
    assert_non_null(row);
    const json_t *text = json_object_get(row, "text"), *value = json_object_get(row, "value");
    struct json_repaired r;
    assert_true(json_repair(&r, json_string_value(text), json_string_length(text)));
    bool strict = json_is_true(json_object_get(row, "strict"));
    if (!same_value(r.value, value) || r.strict != strict || (r.place != 0) != (value != NULL)) {
        char *got = dump(r.value), *meant = dump(value);
        print_message("line %d: %s\n   gave %s%s\n   not  %s%s\n", number, json_string_value(text),
                      got, r.strict ? " (strict)" : "", meant, strict ? " (strict)" : "");
        mem_free(got);
        mem_free(meant);
        ++*wrong;
    }
    json_repaired_free(&r);
    json_decref(row);
}

static void test_fixture(void **state)
{
    (void)state;
    FILE *f = fopen(fixture("reward/json_repair.jsonl"), "r");
    assert_non_null(f);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    int number = 0, wrong = 0;
    size_t live = mem_stats().live_blocks;
    while ((n = getline(&line, &capacity, f)) > 0)
        check_line(line, (size_t)n, ++number, &wrong);
    free(line);
    fclose(f);
    assert_true(number >= 150);
    assert_int_equal(wrong, 0);
    assert_int_equal(mem_stats().live_blocks, live);
}

struct tally {
    int right, total;
};

/* Counts a line of the corpus; the developers' half says what was read wrong, the other only how
 * often. */
static void count_line(const char *line, size_t length, struct tally *dev, struct tally *held)
{
    struct err err = {0};
    json_t *row = json_read(line, length, JSON_NUL_ALLOWED, "json_damage.jsonl", &err);
    assert_non_null(row);
    const json_t *text = json_object_get(row, "text"), *value = json_object_get(row, "value");
    bool developed = strcmp(json_string_value(json_object_get(row, "half")), "dev") == 0;
    struct tally *t = developed ? dev : held;
    struct json_repaired r;
    assert_true(json_repair(&r, json_string_value(text), json_string_length(text)));
    bool right = same_value(r.value, value);
    if (!right && developed)
        print_message("%s: %s\n", json_string_value(json_object_get(row, "id")),
                      json_string_value(text));
    t->total++;
    t->right += right;
    json_repaired_free(&r);
    json_decref(row);
}

/* Half of the corpus was never looked at while the reader was made: what it reads of that is what
 * it reads of JSON broken by others. */
static void test_corpus(void **state)
{
    (void)state;
    FILE *f = fopen(fixture("reward/json_damage.jsonl"), "r");
    assert_non_null(f);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    struct tally dev = {0}, held = {0};
    while ((n = getline(&line, &capacity, f)) > 0)
        count_line(line, (size_t)n, &dev, &held);
    free(line);
    fclose(f);
    print_message("read as meant: %d of %d developed on, %d of %d held out\n", dev.right, dev.total,
                  held.right, held.total);
    assert_true(dev.total + held.total >= 500 && dev.total >= 200 && held.total >= 200);
    assert_true(dev.right >= 0.97 * dev.total);
    assert_true(held.right >= 0.97 * held.total);
}

/* What is said of a repair. */
static void test_what_was_repaired(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum json_place place;
        unsigned repairs;
    } cases[] = {
        {"{\"a\": 1}", JSON_WHOLE, 0},
        {"```json\n{\"a\": 1}\n```", JSON_FENCE, 0},
        {"Diz: {\"a\": 1}", JSON_PROSE, 1U << JSON_TEXT_AROUND},
        {"{\"a\": 1} fim", JSON_WHOLE, 1U << JSON_TEXT_AROUND},
        {"{\"a\": 1} {\"b\": 1}", JSON_WHOLE, 1U << JSON_CONCATENATED},
        {"{'a': 1}", JSON_WHOLE, 1U << JSON_QUOTES},
        {"{\"a\": 1,}", JSON_WHOLE, 1U << JSON_COMMAS},
        {"{\"a\" 1}", JSON_WHOLE, 1U << JSON_COLONS},
        {"{a: 1}", JSON_WHOLE, 1U << JSON_UNQUOTED_KEYS},
        {"{\"a\": bom}", JSON_WHOLE, 1U << JSON_UNQUOTED_STRINGS},
        {"{\"a\": True}", JSON_WHOLE, 1U << JSON_LITERALS},
        {"{\"a\": 4,5}", JSON_WHOLE, 1U << JSON_NUMBERS},
        {"{\"a\": 1e999}", JSON_WHOLE, 1U << JSON_NUMBER_RANGE},
        {"{\"a\": \"x\ny\"}", JSON_WHOLE, 1U << JSON_CONTROL_CHARACTERS},
        {"{\"a\": \"\\q\"}", JSON_WHOLE, 1U << JSON_ESCAPES},
        {"{\"a\": \"\xFF\"}", JSON_WHOLE, 1U << JSON_ENCODING},
        {"{\"a\": 1, \"a\": 2}", JSON_WHOLE, 1U << JSON_DUPLICATE_KEYS},
        {"{\"a\": 1 /* x */}", JSON_WHOLE, 1U << JSON_COMMENTS},
        {"{\"a\": }", JSON_WHOLE, 1U << JSON_MISSING_VALUES},
        {"{\\\"a\\\": 1}", JSON_WHOLE, 1U << JSON_ESCAPED_QUOTES},
        {"\"{\\\"a\\\": 1}\"", JSON_WHOLE, 1U << JSON_ENCODED_STRING},
        {"{\"a\": 1", JSON_WHOLE, 1U << JSON_BRACKETS | 1U << JSON_TRUNCATED},
        {"{\"a\"：1}", JSON_WHOLE, 1U << JSON_SIGNS},
        {"{\"a\": NumberLong(5)}", JSON_WHOLE, 1U << JSON_WRAPPED},
        {"{\"a\": (1, 2)}", JSON_WHOLE, 1U << JSON_BRACKETS},
        {"~~~\n{\"a\": 1}\n~~~", JSON_FENCE, 0},
        {"nada", JSON_NOWHERE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_repaired r;
        assert_true(json_repair(&r, cases[i].text, strlen(cases[i].text)));
        if (r.place != cases[i].place || r.repairs != cases[i].repairs)
            fail_msg("%s: %s, repairs %#x, not %s, %#x", cases[i].text, json_place_name(r.place),
                     r.repairs, json_place_name(cases[i].place), cases[i].repairs);
        assert_true(r.strict == (r.value && r.repairs == 0));
        json_repaired_free(&r);
    }
    for (int k = 0; k < JSON_REPAIR_KINDS; k++)
        for (int other = 0; other <= k; other++)
            assert_true((strcmp(json_repair_name(k), json_repair_name(other)) == 0) ==
                        (k == other));
}

static void check_read(const char *text, const char *meant, enum json_place place, bool strict)
{
    struct json_repaired r;
    assert_true(json_repair(&r, text, strlen(text)));
    json_t *value = json_loads(meant, 0, NULL);
    assert_non_null(value);
    if (!same_value(r.value, value) || r.place != place || r.strict != strict)
        fail_msg("%s: %s, repairs %#x, in place of %s", text, json_place_name(r.place), r.repairs,
                 meant);
    json_decref(value);
    json_repaired_free(&r);
}

/* Whatever its first key is, valid JSON in a fence or in prose is found and taken as it stands. */
static void test_valid_is_found(void **state)
{
    (void)state;
    static const char *const valid[] = {
        "{\"\": 1, \"nota\": 5}",
        "{\"\" : {}}",
        "{\"a\\\"b\": [1]}",
        "{\"a\\\\\":\"x\"}",
        "[{\"\": null}]",
        "{\n  \"uma chave que \u00e9 mais longa do que cento e vinte bytes, como as que um modelo "
        "faz "
        "quando repete a pergunta inteira no lugar do nome do campo\": true\n}",
    };
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        struct str text = {0};
        check_read(valid[i], valid[i], JSON_WHOLE, true);
        str_printf(&text, "Segue:\n```json\n%s\n```\nFim.", valid[i]);
        check_read(str_text(&text), valid[i], JSON_FENCE, true);
        str_clear(&text);
        str_printf(&text, "Segue: %s\n\nFim.", valid[i]);
        check_read(str_text(&text), valid[i], JSON_PROSE, false);
        str_free(&text);
    }
    check_read("```json\n{\"a\": \"[]```\", \"b\": \"{}```\"}\n```\nFim {x}.",
               "{\"a\": \"[]```\", \"b\": \"{}```\"}", JSON_FENCE, true);
    check_read("```\n{\"a\": 1}\n```\n```\n{\"b\": 2}\n```", "{\"a\": 1}", JSON_FENCE, true);
}

/* Where keys have two quotes, texts have two as well, whatever they begin with. */
static void test_doubled_quotes(void **state)
{
    (void)state;
    check_read("{\"\"a\"\": \"\"(veio errado)\"\", \"\"b\"\": \"\"\\u00e1gua\"\"}",
               "{\"a\": \"(veio errado)\", \"b\": \"\u00e1gua\"}", JSON_WHOLE, false);
    check_read("{\"\"a\"\": \"\"'x'\"\", \"\"b\"\": \"\"#1\"\", \"\"c\"\": \"\"\"\"}",
               "{\"a\": \"'x'\", \"b\": \"#1\", \"c\": \"\"}", JSON_WHOLE, false);
    check_read("{\"\"a\"\": \"\", \"\"b\"\": \"\"}", "{\"a\": \"\", \"b\": \"\"}", JSON_WHOLE,
               false);
}

/* Full-width digits are digits where a value stands, and text in a text. */
static void test_wide_digits(void **state)
{
    (void)state;
    check_read("{\"a\": \uFF14, \"b\": \uFF11\uFF10,\uFF15, \"c\": \"\uFF14\"}",
               "{\"a\": 4, \"b\": 10.5, \"c\": \"\uFF14\"}", JSON_WHOLE, false);
    check_read("\uFF5B\"a\"\uFF1A\uFF14\uFF0C\"b\"\uFF1A\uFF11\uFF0C\uFF15\uFF5D",
               "{\"a\": 4, \"b\": 1.5}", JSON_WHOLE, false);
    check_read("{\"n\": [1, \uFF12, \uFF13]}", "{\"n\": [1, 2, 3]}", JSON_WHOLE, false);
}

/* The parser of the reference experiment's first four versions read "nota": 4,5 as broken JSON, and
 * every such answer as worth nothing. */
static void test_v1_to_v4_decimal_comma_bug(void **state)
{
    (void)state;
    static const char text[] = "{\"sentimento\": \"positivo\", \"nota\": 4,5, \"lista\": [4,5]}";
    struct json_repaired r;
    assert_true(json_repair(&r, text, strlen(text)));
    assert_true(json_real_value(json_object_get(r.value, "nota")) == 4.5);
    assert_int_equal(json_array_size(json_object_get(r.value, "lista")), 2);
    assert_int_equal(json_object_size(r.value), 3);
    assert_false(r.strict);
    json_repaired_free(&r);
}

static void check_depth(int depth, bool closed, bool fits)
{
    struct str text = {0};
    struct json_repaired r;
    for (int i = 0; i < depth; i++)
        str_puts(&text, i % 2 ? "[" : "{\"a\":");
    str_puts(&text, "1");
    for (int i = depth - 1; closed && i >= 0; i--)
        str_puts(&text, i % 2 ? "]" : "}");
    assert_true(json_repair(&r, str_text(&text), text.length));
    assert_int_equal(r.place, JSON_WHOLE);
    assert_true((r.value != NULL) == fits);
    assert_true(((r.repairs >> JSON_TOO_LARGE & 1) == 0) == fits);
    assert_true(r.strict == (fits && closed));
    json_repaired_free(&r);
    str_free(&text);
}

static void test_depth(void **state)
{
    (void)state;
    check_depth(JSON_REPAIR_DEPTH, true, true);
    check_depth(JSON_REPAIR_DEPTH, false, true);
    check_depth(JSON_REPAIR_DEPTH + 1, true, false);
    check_depth(JSON_REPAIR_DEPTH + 1, false, false);
    check_depth(100000, false, false);
}

static double seconds_for(const char *head, const char *unit, size_t size)
{
    struct str text = {0};
    struct json_repaired r;
    struct timespec from, to;
    str_puts(&text, head);
    while (text.length < size)
        str_puts(&text, unit);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    assert_true(json_repair(&r, str_text(&text), text.length));
    json_repaired_free(&r);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    str_free(&text);
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

/* A megabyte in a tenth of a second; and where it takes a measurable time, at most three times as
 * long as half of it (a square takes four times). Sanitizers take more, and prove the growth alone.
 */
static double check_time(const char *head, const char *unit)
{
    enum { TIMES = 5 };
#if SANITIZED || !defined __OPTIMIZE__
    const double limit = 0.5;
    const size_t size = 100000;
#else
    const double limit = 0.1;
    const size_t size = 1000000;
#endif
    double whole = seconds_for(head, unit, size), half = 0;
    if (whole < 0.5 * limit)
        return whole;
    for (int i = 0; i < TIMES; i++) { /* by turns: both see the same neighbours */
        double s = seconds_for(head, unit, size / 2), w = seconds_for(head, unit, size);
        half = i == 0 || s < half ? s : half;
        whole = w < whole ? w : whole;
        if (whole < limit && whole < 3 * half)
            return whole;
    }
    fail_msg("%.20s%.40s…: %zu bytes in %.3f s, half of them in %.3f s", head, unit, size, whole,
             half);
    return whole;
}

static void test_hostile_megabytes(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "", "{", "{\"a\": \"", "{\"a\": ", "[", "```", "{a: \"", "({\"a\": '"};
    static const char *const units[] = {
        "{",
        "[",
        "\"",
        "'",
        "\\",
        "\\\"",
        "\\n",
        ",",
        ":",
        " ",
        "\n",
        "a",
        "1",
        "1,",
        "1.",
        "{}",
        "{\"",
        "\",",
        "\":",
        "\", \"",
        "\": \"",
        "/*",
        "//",
        "#",
        "\"#",
        "\"/*",
        ",/*",
        "```",
        "```{",
        "``` ",
        "{\"a\":",
        "{\"a\":1}",
        "{\"a\":1},",
        "a:",
        "a,",
        "a b ",
        "“",
        "”",
        "\xE2",
        "\xFF",
        "}",
        "]",
        "]}",
        "{,}",
        "{x\"}",
        "tru",
        "-",
        "...",
        "R$",
        "{a:[",
        "\",\n\"",
        "+\"",
        "\"+\"",
        ", \"aaaaaaaaaaaaaaa",
        ",aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "{\"a\": }",
        "\\u12",
        "={",
        "[1]",
        "{a}",
        "\" \" ",
        "\"a\": 1 ",
        "R$ 1,5, ",
        "1 1 ",
        "1,5%,",
        "\n- \"a\"",
        "((",
        "f(",
        "f(\"",
        "new D(1),",
        "｛",
        "“a”：",
        "\"a\"\n\"b\"\n",
        "\"x\" 1, ",
        "\",\nb: 'x,\nb: ",
        "},\n{\"",
        "}, \"a",
        "\"a, // \"x\"\n",
        "&quot;",
        "<!--",
        "-- ",
        "~~~\n",
        "```\nx ```a",
        "```\n{\n",
        "\n\nA",
        "\"\n\nA",
        "{{",
        "x = 1, ",
        "\"k\": \"v\", ",
        "k: v, ",
        "{\"a\":{\"b\":",
        "…",
        "nome completo da pessoa: ",
        "prosa {com} chaves [e] mais, ",
        "\"\xC3\xA9\": \xC3\xA9, ",
        "\", \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" 1",
        "{\"\"",
        "{\"\":",
        "{\"\\\"",
        "{\"a\" \n",
        "\"\"a\"\": \"\" ",
        "\"\"a\"\": \"\"#",
        "```{\"\": 1\n",
    };
    double worst = 0;
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++)
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            double seconds = check_time(heads[h], units[u]);
            worst = seconds > worst ? seconds : worst;
        }
    print_message("the slowest megabyte took %.3f s\n", worst);
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "x {'a': [1, {\"b\": 4,5}], c: \"d, \"e\": \"f\"} fim",
        "\"{\\\"a\\\": \\\"longo longo longo longo longo longo\\\"}\"",
        "{\"a\": 1, \"a\": 2}",
        "4,5",
        "```\n\"a\": 1\n```",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t live = mem_stats().live_blocks;
        bool done = false;
        for (int n = 0; !done; n++) {
            struct json_repaired r;
            assert_true(n < 1000);
            mem_fail_after(n);
            done = json_repair(&r, texts[i], strlen(texts[i]));
            mem_fail_after(-1);
            assert_true(done || (r.value == NULL && r.place == JSON_NOWHERE));
            assert_true(!done || (r.value && n > 0));
            json_repaired_free(&r);
            assert_int_equal(mem_stats().live_blocks, live);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixture),
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_what_was_repaired),
        cmocka_unit_test(test_valid_is_found),
        cmocka_unit_test(test_doubled_quotes),
        cmocka_unit_test(test_wide_digits),
        cmocka_unit_test(test_v1_to_v4_decimal_comma_bug),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_hostile_megabytes),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
