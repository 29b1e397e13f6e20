/* test_stats.c: what is said of a file of rows: counts, lengths, copies, what two files share. */
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/stats.h"

static char *folder;
static struct err err;
static struct dataset a, b;

static const char rows_a[] = "{\"id\": \"a1\", \"task\": \"push\", \"prompt\": \"Olá, ção\"}\n"
                             "{\"id\": \"a2\", \"task\": \"push\", \"prompt\": [{\"role\": "
                             "\"system\", \"content\": \"12345\"}, "
                             "{\"role\": \"user\", \"content\": \"olá,   ÇÃO\"}]}\n"
                             "{\"id\": \"a3\", \"prompt\": \"sem\\u001b[31m tarefa\"}\n"
                             "{\"id\": \"a4\", \"task\": \"sql\", \"prompt\": \"x\"}\n"
                             "{\"id\": \"a5\", \"task\": \"push\", \"prompt\": \"OLÁ, ção\"}\n";
static const char rows_b[] = "{\"id\": \"b1\", \"prompt\": \"nada\"}\n\n"
                             "{\"id\": \"b2\", \"prompt\": \"X\"}\n"
                             "{\"id\": \"b3\", \"prompt\": \"x\"}\n";

static void open_text(struct dataset *d, const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
    assert_int_equal(dataset_open(d, path, &err), 0);
}

static int open_both(void **state)
{
    (void)state;
    folder = temp_folder();
    open_text(&a, "a.jsonl", rows_a);
    open_text(&b, "b.jsonl", rows_b);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    dataset_close(&a);
    dataset_close(&b);
    temp_folder_remove(folder);
    return 0;
}

static void check_lengths(const struct data_lengths *l, size_t n, size_t least, double mean,
                          size_t median, size_t p95, size_t most)
{
    assert_int_equal(l->n, n);
    assert_int_equal(l->least, least);
    assert_true(l->mean > mean - 1e-9 && l->mean < mean + 1e-9);
    assert_int_equal(l->median, median);
    assert_int_equal(l->p95, p95);
    assert_int_equal(l->most, most);
}

static void test_counts(void **state)
{
    (void)state;
    static const size_t tokens[] = {10, 20, 30, 40, 60};
    struct data_stats s;
    assert_int_equal(data_stats_make(&s, &a, tokens, &b, &err), 0);
    assert_int_equal(s.n_tasks, 3);
    assert_string_equal(s.tasks[0].name, "push");
    assert_string_equal(s.tasks[1].name, "");
    assert_string_equal(s.tasks[2].name, "sql");
    check_lengths(&s.tasks[0].characters, 3, 8, 31.0 / 3, 8, 15, 15); /* all messages count */
    check_lengths(&s.tasks[0].tokens, 3, 10, 30, 20, 60, 60);
    check_lengths(&s.all.characters, 5, 1, 47.0 / 5, 8, 15, 15);
    assert_int_equal(s.n_untold, 1);
    assert_int_equal(s.untold[0], 2);
    assert_int_equal(s.n_copies, 2);
    assert_int_equal(s.copies[0].row, 1);
    assert_int_equal(s.copies[0].twin, 0);
    assert_int_equal(s.copies[1].row, 4);
    assert_int_equal(s.copies[1].twin, 0);
    assert_int_equal(s.n_shared, 1);
    assert_int_equal(s.shared[0].row, 3);
    assert_int_equal(s.shared[0].twin, 1); /* the first of the two */
    data_stats_free(&s);
    data_stats_free(&s);
}

static void test_output(void **state)
{
    (void)state;
    struct data_stats s;
    struct str out = {0};
    assert_int_equal(data_stats_make(&s, &a, NULL, &b, &err), 0);
    data_stats_table(&out, &s);
    static const char *const parts[] = {
        "5 rows, sha256 ",
        "push                   3   60.0%       8      10       8     15     15\n",
        "(none)                 1   20.0%",
        "1 rows without a task:\n  line 3, \"a3\": sem",
        "2 rows whose prompt is in an earlier row:\n  line 2, \"a2\": as line 1, \"a1\"\n",
        "1 rows whose prompt is in ",
        "  line 4, \"a4\": as line 3, \"b2\"\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(str_text(&out), parts[i]))
            fail_msg("\"%s\" is not in:\n%s", parts[i], str_text(&out));
    assert_null(strchr(str_text(&out), '\x1b'));
    str_clear(&out);
    data_stats_json(&out, &s);
    json_t *json = json_read(out.data, out.length, JSON_UNIQUE_KEYS, "stats", &err);
    assert_non_null(json);
    long long rows = 0, line = 0, as = 0, most = 0;
    assert_int_equal(json_unpack(json, "{s:I, s:{s:{s:I}}, s:[{s:I}], s:[{s:{s:I}}], s:{s:{s:I}}}",
                                 "rows", &rows, "tasks", "push", "rows", &line, "without_task",
                                 "line", &line, "shared", "as", "line", &as, "all", "characters",
                                 "max", &most),
                     0);
    assert_int_equal(rows, 5);
    assert_int_equal(line, 3);
    assert_int_equal(as, 3);
    assert_int_equal(most, 15);
    assert_int_equal(json_array_size(json_object_get(json, "copies")), 2);
    assert_null(json_object_get(json_object_get(json, "all"), "tokens"));
    json_decref(json);
    str_free(&out);
    data_stats_free(&s);
}

static void test_no_memory(void **state)
{
    (void)state;
    size_t blocks = mem_stats().live_blocks;
    int status = ERR_MACHINE, tries = 0;
    for (; status; tries++) {
        struct data_stats s;
        assert_true(tries < 500);
        mem_fail_after(tries);
        status = data_stats_make(&s, &a, NULL, &b, &err);
        mem_fail_after(-1);
        assert_true(!status || status == ERR_MACHINE);
        data_stats_free(&s);
        assert_int_equal(mem_stats().live_blocks, blocks);
    }
    assert_true(tries > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}
