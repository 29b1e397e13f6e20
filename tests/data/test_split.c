/* test_split.c: the fixed stratified split: exact counts, the rows' own bytes, independence of
 * order and copies, and never twice different. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/rows.h"
#include "data/split.h"

static char *folder;
static struct err err;

static int make_folder(void **state)
{
    (void)state;
    folder = temp_folder();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

static const char *at(const char *name)
{
    static char paths[8][600];
    static int next;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static void put_content(const char *name, const char *text)
{
    assert_int_equal(file_write_atomic(at(name), text, strlen(text), &err), 0);
}

static struct str content(const char *name)
{
    struct str text = {0};
    assert_int_equal(file_read(&text, at(name), &err), 0);
    return text;
}

static void must(int status)
{
    if (status)
        fail_msg("%s: %s", err.where, err.message);
}

/* Splits the file "source" into "PREFIXeval", "PREFIXtest" and "PREFIXtrain". */
static int split(const char *prefix, const char *source, const struct split_count *counts,
                 size_t n_counts, uint64_t seed, struct split_result *r)
{
    char eval[60], test[60], train[60];
    size_t n_test = 0;
    for (size_t i = 0; i < n_counts; i++)
        n_test += counts[i].test;
    snprintf(eval, sizeof eval, "%seval", prefix);
    snprintf(test, sizeof test, "%stest", prefix);
    snprintf(train, sizeof train, "%strain", prefix);
    memset(&err, 0, sizeof err);
    struct split_options o = {.source = at(source),
                              .eval_out = at(eval),
                              .test_out = n_test ? at(test) : NULL,
                              .train_out = at(train),
                              .counts = counts,
                              .n_counts = n_counts,
                              .seed = seed};
    return split_run(&o, r, &err);
}

static const struct split_count counts[] = {{"push", 5, 4}, {"sql_qa", 3, 0}};

/* 30 rows of push, 20 of sql_qa, 5 without a task; by `step` (coprime with 55) out of order. */
static void make_source(const char *name, size_t step)
{
    struct str text = {0};
    for (size_t i = 0; i < 55; i++) {
        size_t k = i * step % 55;
        const char *task = k < 30 ? "push" : k < 50 ? "sql_qa" : "";
        str_printf(&text, "{\"id\": \"row-%zu\", \"n\": %zu.00,  ", k, k);
        if (*task)
            str_printf(&text, "\"task\": \"%s\", ", task);
        str_printf(&text, "\"prompt\": \"Pergunta %zu\"}\n", k);
    }
    put_content(name, str_text(&text));
    str_free(&text);
}

static size_t count_task(const struct dataset *d, const char *task)
{
    size_t n = 0;
    for (size_t i = 0; i < d->count; i++)
        n += strcmp(d->rows[i].task, task) == 0;
    return n;
}

static void test_counts(void **state)
{
    (void)state;
    make_source("source", 1);
    struct split_result r;
    must(split("", "source", counts, 2, 42, &r));
    assert_int_equal(r.eval.rows, 8);
    assert_int_equal(r.test.rows, 4);
    assert_int_equal(r.train.rows, 43);
    assert_int_equal(r.copies, 0);
    assert_true(r.eval.written && r.test.written && r.train.written);
    const char *const files[] = {"eval", "test", "train"};
    struct dataset d[3];
    struct split_set sets[] = {r.eval, r.test, r.train};
    int seen[55] = {0};
    for (int i = 0; i < 3; i++) {
        must(dataset_open(&d[i], at(files[i]), &err));
        assert_string_equal(d[i].sha256, sets[i].sha256);
        assert_int_equal(d[i].count, sets[i].rows);
        for (size_t j = 0; j < d[i].count; j++)
            seen[atoi(d[i].rows[j].id + 4)]++;
    }
    for (int i = 0; i < 55; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(count_task(&d[0], "push"), 5);
    assert_int_equal(count_task(&d[0], "sql_qa"), 3);
    assert_int_equal(count_task(&d[1], "push"), 4);
    assert_int_equal(count_task(&d[2], ""), 5);
    /* Training rows keep the source's order. */
    for (size_t j = 1; j < d[2].count; j++)
        assert_true(d[2].rows[j].line > d[2].rows[j - 1].line &&
                    atoi(d[2].rows[j].id + 4) > atoi(d[2].rows[j - 1].id + 4));
    for (int i = 0; i < 3; i++)
        dataset_close(&d[i]);
    /* Without files for test and train: the same evaluation rows. */
    static const struct split_count only[] = {{"sql_qa", 3, 0}, {"push", 5, 0}};
    struct split_options o = {
        .source = at("source"), .eval_out = at("alone"), .counts = only, .n_counts = 2, .seed = 42};
    struct split_result alone;
    must(split_run(&o, &alone, &err));
    assert_string_equal(alone.eval.sha256, r.eval.sha256);
    assert_string_equal(alone.test.sha256, "");
    assert_string_equal(alone.train.sha256, "");
}

/* Frozen: a later version that chose other rows would break everybody's fixed sets. */
static void test_frozen(void **state)
{
    (void)state;
    make_source("source", 1);
    struct split_result r;
    must(split("", "source", counts, 2, 42, &r));
    struct dataset d;
    must(dataset_open(&d, at("eval"), &err));
    struct str ids = {0};
    for (size_t i = 0; i < d.count; i++)
        str_printf(&ids, "%s ", d.rows[i].id + 4);
    assert_string_equal(str_text(&ids), "42 26 8 20 5 15 40 41 ");
    str_free(&ids);
    dataset_close(&d);
}

static void test_order_does_not_matter(void **state)
{
    (void)state;
    struct split_result a, b, other;
    make_source("source", 1);
    make_source("shuffled", 17);
    must(split("a-", "source", counts, 2, 7, &a));
    must(split("b-", "shuffled", counts, 2, 7, &b));
    assert_string_equal(a.eval.sha256, b.eval.sha256);
    assert_string_equal(a.test.sha256, b.test.sha256);
    assert_string_not_equal(a.train.sha256, b.train.sha256);
    must(split("c-", "source", counts, 2, 8, &other));
    assert_string_not_equal(a.eval.sha256, other.eval.sha256);
    /* More of a task: the old rows are still among them. */
    static const struct split_count more[] = {{"push", 9, 4}, {"sql_qa", 3, 0}};
    must(split("d-", "source", more, 2, 7, &other));
    struct str few = content("a-eval"), many = content("d-eval");
    for (char *line = strtok(few.data, "\n"); line; line = strtok(NULL, "\n"))
        assert_non_null(strstr(str_text(&many), line));
    str_free(&few);
    str_free(&many);
}

static void test_original_bytes(void **state)
{
    (void)state;
    /* Odd spacing, numbers, escapes and a key twice; BOM, CRLF, blank lines, no newline at the end.
     */
    static const char one[] =
        "{ \"task\":\"t\",\"id\":\"1\",\"x\":1.50e+01,\"prompt\":\"\\u00e1\" }",
                      two[] = "{\"prompt\":\"b\",\"task\":\"t\",\"x\":1,\"x\":2, \"id\":\"2\"}",
                      three[] = "{\"id\":\"3\",\"task\":\"u\",\"prompt\":\"\xC3\xA1\\/c\"}";
    struct str text = {0};
    str_printf(&text, "\xEF\xBB\xBF%s\r\n\r\n  %s \t\r\n%s", one, two, three);
    put_content("source", str_text(&text));
    static const struct split_count both[] = {{"t", 2, 0}};
    struct split_result r;
    must(split("", "source", both, 1, 1, &r));
    struct str eval = content("eval"), train = content("train");
    str_clear(&text);
    str_printf(&text, "%s\n%s\n", one, two);
    struct str swapped = {0};
    str_printf(&swapped, "%s\n%s\n", two, one);
    assert_true(strcmp(str_text(&eval), str_text(&text)) == 0 ||
                strcmp(str_text(&eval), str_text(&swapped)) == 0);
    str_clear(&text);
    str_printf(&text, "%s\n", three);
    assert_string_equal(str_text(&train), str_text(&text));
    str_free(&text);
    str_free(&swapped);
    str_free(&eval);
    str_free(&train);
}

/* Never resampled: an equal file stays as it is, any other is refused and nothing is written. */
static void test_never_twice(void **state)
{
    (void)state;
    struct split_result r, again;
    struct stat before, after;
    make_source("source", 1);
    must(split("", "source", counts, 2, 42, &r));
    assert_int_equal(stat(at("eval"), &before), 0);
    must(split("", "source", counts, 2, 42, &again));
    assert_false(again.eval.written || again.test.written || again.train.written);
    assert_string_equal(again.eval.sha256, r.eval.sha256);
    assert_int_equal(again.eval.rows, 8);
    assert_int_equal(stat(at("eval"), &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    /* A missing one of the three is made again. */
    assert_int_equal(unlink(at("train")), 0);
    must(split("", "source", counts, 2, 42, &again));
    assert_true(again.train.written && !again.eval.written);
    assert_string_equal(again.train.sha256, r.train.sha256);

    struct str eval = content("eval"), test = content("test"), train = content("train");
    assert_int_equal(unlink(at("test")), 0);
    assert_int_equal(split("", "source", counts, 2, 43, &again), ERR_GATE);
    assert_string_equal(err.where, at("eval"));
    assert_non_null(strstr(err.message, "never resampled"));
    assert_int_not_equal(access(at("test"), F_OK), 0);
    put_content("test", "something else\n");
    assert_int_equal(split("", "source", counts, 2, 42, &again), ERR_GATE);
    assert_string_equal(err.where, at("test"));
    put_content("test", str_text(&test));
    put_content("train", "my own rows\n");
    assert_int_equal(split("", "source", counts, 2, 42, &again), ERR_GATE);
    assert_string_equal(err.where, at("train"));
    assert_non_null(strstr(err.message, "does not overwrite"));
    struct str now = content("eval");
    assert_string_equal(str_text(&now), str_text(&eval));
    str_free(&now);
    str_free(&eval);
    str_free(&test);
    str_free(&train);
}

/* Equal prompts are one unit: in evaluation once and nowhere else, or all in training. */
static void test_copies(void **state)
{
    (void)state;
    struct str text = {0};
    for (int i = 0; i < 12; i++) {
        str_printf(&text, "{\"id\": \"%d-b\", \"task\": \"t\", \"prompt\": \"Pergunta  %d\"}\n", i,
                   i);
        str_printf(&text, "{\"id\": \"%d-a\", \"task\": \"t\", \"prompt\": \"pergunta %d\"}\n", i,
                   i);
        str_printf(&text, "{\"id\": \"%d-c\", \"task\": \"u\", \"prompt\": \"PERGUNTA %d \"}\n", i,
                   i);
    }
    put_content("source", str_text(&text));
    str_free(&text);
    static const struct split_count some[] = {{"t", 4, 3}};
    struct split_result r;
    must(split("", "source", some, 1, 5, &r));
    assert_int_equal(r.eval.rows, 4);
    assert_int_equal(r.test.rows, 3);
    assert_int_equal(r.train.rows, 5 * 3);
    assert_int_equal(r.copies, 7 * 2);
    struct dataset eval, train;
    must(dataset_open(&eval, at("eval"), &err));
    must(dataset_open(&train, at("train"), &err));
    for (size_t i = 0; i < eval.count; i++)
        assert_non_null(strstr(eval.rows[i].id, "-a")); /* the smallest id of its unit */
    must(dataset_disjoint(&train, &eval, &err));
    dataset_close(&eval);
    dataset_close(&train);
    /* The other task's rows are copies of t's, so u has no prompt of its own. */
    static const struct split_count none[] = {{"u", 1, 0}};
    assert_int_equal(split("x-", "source", none, 1, 5, &r), ERR_INPUT);
    assert_non_null(strstr(err.message, "\"u\" has 0 distinct prompts (in 12 rows), 1 wanted"));
}

/* Every prompt has the same chance, however many copies it has and whether or not it has an id. */
static void test_fair(void **state)
{
    (void)state;
    log_set_quiet(true);
    for (int with_ids = 0; with_ids < 2; with_ids++) {
        struct str text = {0};
        for (int i = 0; i < 10; i++)
            for (int copy = 0; copy < (i == 0 ? 8 : 1); copy++) {
                str_puts(&text, "{\"task\": \"t\", ");
                if (with_ids)
                    str_printf(&text, "\"id\": \"%d.%d\", ", i, copy);
                str_printf(&text, "\"prompt\": \"p%d\"}\n", i);
            }
        put_content("source", str_text(&text));
        str_free(&text);
        static const struct split_count three[] = {{"t", 3, 0}};
        int chosen[10] = {0};
        for (uint64_t seed = 0; seed < 300; seed++) {
            struct split_result r;
            struct dataset d;
            struct split_options o = {.source = at("source"),
                                      .eval_out = at("fair"),
                                      .counts = three,
                                      .n_counts = 1,
                                      .seed = seed};
            must(split_run(&o, &r, &err));
            must(dataset_open(&d, at("fair"), &err));
            for (size_t i = 0; i < d.count; i++)
                chosen[atoi(d.rows[i].user_text + 1)]++;
            dataset_close(&d);
            assert_int_equal(unlink(at("fair")), 0);
        }
        /* 90 expected of each, standard deviation 7.9: within 4 of them. */
        for (int i = 0; i < 10; i++)
            if (chosen[i] < 58 || chosen[i] > 122)
                fail_msg("prompt %d was chosen %d times of 300, expected about 90", i, chosen[i]);
    }
    log_set_quiet(false);
}

static void test_refused(void **state)
{
    (void)state;
    struct split_result r;
    make_source("source", 1);
    static const struct split_count many[] = {{"push", 29, 2}};
    assert_int_equal(split("", "source", many, 1, 1, &r), ERR_INPUT);
    assert_string_equal(err.message, "the task \"push\" has 30 distinct prompts (in 30 rows), 31 "
                                     "wanted: 29 for evaluation and 2 for the test set");
    static const struct split_count unknown[] = {{"pusch", 1, 0}};
    assert_int_equal(split("", "source", unknown, 1, 1, &r), ERR_INPUT);
    assert_string_equal(err.message,
                        "the task \"pusch\" has 0 distinct prompts (in 0 rows), 1 wanted: 1 for "
                        "evaluation and 0 for the test set; the tasks here: push, sql_qa, (none "
                        "given)");
    static const struct split_count twice[] = {{"push", 1, 0}, {"push", 2, 0}};
    assert_int_equal(split("", "source", twice, 2, 1, &r), ERR_USAGE);
    static const struct split_count nothing[] = {{"push", 0, 0}};
    assert_int_equal(split("", "source", nothing, 1, 1, &r), ERR_USAGE);
    assert_int_equal(split("", "missing", counts, 2, 1, &r), ERR_INPUT);
    static const struct split_count all[] = {{"t", 2, 0}};
    put_content("two",
                "{\"task\": \"t\", \"prompt\": \"a\"}\n{\"task\": \"t\", \"prompt\": \"b\"}\n");
    assert_int_equal(split("", "two", all, 1, 1, &r), ERR_INPUT);
    assert_non_null(strstr(err.message, "nothing is left to train on"));
    /* Paths: the source must survive. */
    struct split_options o = {.source = at("source"),
                              .eval_out = at("source"),
                              .counts = counts,
                              .n_counts = 2,
                              .test_out = at("test")};
    assert_int_equal(split_run(&o, &r, &err), ERR_USAGE);
    assert_int_equal(symlink(at("source"), at("link")), 0);
    o.eval_out = at("link");
    assert_int_equal(split_run(&o, &r, &err), ERR_USAGE);
    o.eval_out = at("eval");
    o.test_out = NULL; /* asked for test rows, without a file */
    assert_int_equal(split_run(&o, &r, &err), ERR_USAGE);
    o.test_out = o.eval_out;
    assert_int_equal(split_run(&o, &r, &err), ERR_USAGE);
    o.test_out = at("nowhere/test");
    assert_int_equal(split_run(&o, &r, &err), ERR_MACHINE);
    assert_non_null(strstr(err.where, "nowhere/test"));
    /* Nothing but that last one has written anything. */
    assert_int_not_equal(access(at("test"), F_OK), 0);
    assert_int_not_equal(access(at("train"), F_OK), 0);
}

/* Rows without an id are drawn by their prompt: their line does not matter either. */
static void test_order_without_ids(void **state)
{
    (void)state;
    struct split_result r[2];
    static const size_t steps[2] = {1, 7};
    static const struct split_count some[] = {{"t", 6, 3}};
    for (int k = 0; k < 2; k++) {
        struct str text = {0};
        for (size_t i = 0; i < 30; i++)
            str_printf(&text, "{\"task\": \"t\", \"prompt\": \"p%zu\"}\n", i * steps[k] % 30);
        put_content("source", str_text(&text));
        str_free(&text);
        must(split(k ? "b-" : "a-", "source", some, 1, 3, &r[k]));
    }
    assert_string_equal(r[0].eval.sha256, r[1].eval.sha256);
    assert_string_equal(r[0].test.sha256, r[1].test.sha256);
}

/* What was written is read back. Here an id like those that rows without one are given: in the
 * source it names one row, but in the new file, on other lines, two. Refused, and removed. */
static void test_read_back(void **state)
{
    (void)state;
    put_content("source", "{\"id\": \"u\", \"prompt\": \"a\"}\n{\"id\": \"v\", \"prompt\": \"b\"}\n"
                          "{\"task\": \"t\", \"prompt\": \"c\"}\n"
                          "{\"id\": \"line-1\", \"task\": \"t\", \"prompt\": \"d\"}\n");
    static const struct split_count two[] = {{"t", 2, 0}};
    int refused = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct split_result r;
        int status = split("", "source", two, 1, seed, &r);
        refused += status == ERR_INPUT && strstr(err.message, "\"line-1\" appears twice");
        assert_int_equal(access(at("eval"), F_OK) == 0, status == 0);
        assert_int_equal(access(at("train"), F_OK) == 0, status == 0);
        unlink(at("eval"));
        unlink(at("train"));
    }
    assert_in_range(refused, 3, 17); /* whenever the row without an id comes first */
}

static void test_no_memory(void **state)
{
    (void)state;
    struct split_result r;
    make_source("source", 1);
    struct split_options o = {.source = at("source"),
                              .eval_out = at("eval"),
                              .test_out = at("test"),
                              .counts = counts,
                              .n_counts = 2};
    must(split_run(&o, &r, &err));
    size_t blocks = mem_stats().live_blocks;
    int status = ERR_MACHINE, failures = 0;
    for (long n = 0; status == ERR_MACHINE; n += 1 + n / 50) {
        mem_fail_after(n);
        status = split_run(&o, &r, &err);
        mem_fail_after(-1);
        failures += status == ERR_MACHINE;
        assert_int_equal(mem_stats().live_blocks, blocks);
    }
    must(status);
    assert_true(failures > 20);
}

/* The built-in data: 15 of each of its two tasks. */
static void test_demo_data(void **state)
{
    (void)state;
    static const struct split_count fifteen[] = {{"push", 15, 0}, {"sql_qa", 15, 0}};
    struct split_options o = {.source = "tests/demo/train.jsonl",
                              .eval_out = at("eval"),
                              .train_out = at("train"),
                              .counts = fifteen,
                              .n_counts = 2,
                              .seed = 42};
    struct split_result r;
    must(split_run(&o, &r, &err));
    assert_int_equal(r.eval.rows, 30);
    assert_int_equal(r.train.rows + r.eval.rows + r.copies, 240);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_frozen, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_order_does_not_matter, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_original_bytes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_never_twice, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_copies, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_fair, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_order_without_ids, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_read_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_no_memory, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_demo_data, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
