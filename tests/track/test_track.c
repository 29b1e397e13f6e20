/* test_track.c: the logs of a run folder: their bytes, resuming at offsets, full disks. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/json.h"
#include "base/mem.h"
#include "track/track.h"

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
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void expect_content(const char *name, const char *expected)
{
    struct str text = {0};
    assert_int_equal(file_read(&text, at(name), &err), 0);
    assert_string_equal(str_text(&text), expected);
    str_free(&text);
}

static void put_content(const char *name, const char *text)
{
    assert_int_equal(file_write_atomic(at(name), text, strlen(text), &err), 0);
}

static void must(int status)
{
    if (status)
        fail_msg("%s: %s", err.where, err.message);
}

static void sample(struct track *t, const char *text)
{
    struct str line = {0};
    str_puts(&line, text);
    must(track_sample(t, &line, &err));
    str_free(&line);
}

static void test_lines(void **state)
{
    (void)state;
    struct track t;
    put_content("metrics.jsonl", "left from before\n");
    must(track_open(&t, folder, NULL, &err));
    const struct metric first[] = {
        {"loss", 0.1},       {"reward/push \"x\"\n", 1}, {"kl", NAN},
        {"ratio", INFINITY}, {"min", -INFINITY},         {"learning_rate", 5e-6},
        {"zero", -0.0},      {"third", 1.0 / 3.0},       {"\xC3\xA1\xFF", 1e300}};
    must(track_metrics(&t, 1, first, sizeof first / sizeof *first, &err));
    must(track_metrics(&t, 2, NULL, 0, &err));
    const struct metric clock = {"seconds", 1.5};
    must(track_timing(&t, 1, &clock, 1, &err));
    sample(&t, "{\"text\": \"a\\nb\"}");
    static const char metrics[] =
        "{\"step\": 1, \"loss\": 0.1, \"reward/push \\\"x\\\"\\n\": 1.0, \"kl\": null, \"ratio\": "
        "null, \"min\": null, \"learning_rate\": 5e-06, \"zero\": -0.0, \"third\": "
        "0.3333333333333333, \"\xC3\xA1\xEF\xBF\xBD\": 1e+300}\n{\"step\": 2}\n";
    static const char samples[] = "{\"text\": \"a\\nb\"}\n";
    expect_content("metrics.jsonl", metrics);
    expect_content("timing.jsonl", "{\"step\": 1, \"seconds\": 1.5}\n");
    expect_content("samples.jsonl", samples);
    struct track_offsets o = track_offsets(&t);
    assert_int_equal(o.metrics, strlen(metrics));
    assert_int_equal(o.timing, 28);
    assert_int_equal(o.samples, strlen(samples));
    must(track_sync(&t, &err));
    track_close(&t);
    track_close(&t);
    /* Each line is JSON that reads back to the same number. */
    json_t *line = json_read(metrics, strcspn(metrics, "\n"), JSON_UNIQUE_KEYS, "", &err);
    assert_non_null(line);
    assert_true(json_real_value(json_object_get(line, "third")) == 1.0 / 3.0);
    json_decref(line);
}

static void steps(struct track *t, long from, long to)
{
    for (long step = from; step <= to; step++) {
        struct metric m[] = {{"loss", 1.0 / (double)step}, {"length", (double)(step * 10)}};
        char text[60];
        snprintf(text, sizeof text, "{\"step\": %ld}", step);
        must(track_metrics(t, step, m, 2, &err));
        must(track_timing(t, step, m, 1, &err));
        sample(t, text);
        sample(t, text);
    }
}

static void keep(struct str *out, const char *name)
{
    str_clear(out);
    assert_int_equal(file_read(out, at(name), &err), 0);
}

/* Ten steps straight, and six, back to four, then on to ten: the same bytes. */
static void test_resume(void **state)
{
    (void)state;
    static const char *const names[] = {"metrics.jsonl", "timing.jsonl", "samples.jsonl"};
    struct str straight[3] = {0};
    struct track t;
    must(track_open(&t, folder, NULL, &err));
    steps(&t, 1, 10);
    track_close(&t);
    for (int i = 0; i < 3; i++)
        keep(&straight[i], names[i]);

    must(track_open(&t, folder, NULL, &err));
    steps(&t, 1, 4);
    struct track_offsets checkpoint = track_offsets(&t);
    must(track_sync(&t, &err));
    steps(&t, 5, 6);
    track_close(&t);
    /* Killed in the middle of a line. */
    FILE *torn = fopen(at("metrics.jsonl"), "a");
    assert_non_null(torn);
    fputs("{\"step\": 7, \"lo", torn);
    assert_int_equal(fclose(torn), 0);
    must(track_open(&t, folder, &checkpoint, &err));
    struct track_offsets now = track_offsets(&t);
    assert_memory_equal(&now, &checkpoint, sizeof now);
    steps(&t, 5, 10);
    track_close(&t);
    for (int i = 0; i < 3; i++) {
        expect_content(names[i], str_text(&straight[i]));
        str_free(&straight[i]);
    }
}

/* One log shorter than the checkpoint: refused, and the others keep what they have. */
static void test_resume_refused(void **state)
{
    (void)state;
    struct track t;
    put_content("metrics.jsonl", "{\"step\": 1}\n{\"step\": 2}\n");
    put_content("timing.jsonl", "{\"step\": 1}\n");
    put_content("samples.jsonl", "short\n");
    struct track_offsets o = {.metrics = 12, .timing = 12, .samples = 12};
    assert_int_equal(track_open(&t, folder, &o, &err), ERR_INPUT);
    assert_string_equal(err.where, at("samples.jsonl"));
    assert_non_null(strstr(err.message, "12 bytes"));
    track_close(&t);
    expect_content("metrics.jsonl", "{\"step\": 1}\n{\"step\": 2}\n");
    expect_content("samples.jsonl", "short\n");
    assert_int_equal(unlink(at("samples.jsonl")), 0);
    assert_int_equal(track_open(&t, folder, &o, &err), ERR_INPUT);
    assert_int_not_equal(access(at("samples.jsonl"), F_OK), 0);
    o.samples = 0; /* nothing was in it then: it is made */
    must(track_open(&t, folder, &o, &err));
    track_close(&t);
    expect_content("metrics.jsonl", "{\"step\": 1}\n");
    expect_content("samples.jsonl", "");
}

static void test_missing_folder(void **state)
{
    (void)state;
    struct track t;
    assert_int_equal(track_open(&t, at("nowhere"), NULL, &err), ERR_MACHINE);
    assert_non_null(strstr(err.where, "nowhere/metrics.jsonl"));
    track_close(&t);
}

/* A limit on the size of files behaves like a full disk: write fails in the middle of a line. */
static void test_disk_full(void **state)
{
    (void)state;
    struct track t;
    must(track_open(&t, folder, NULL, &err));
    const struct metric m = {"a_name_that_makes_the_line_longer", 0.25};
    must(track_metrics(&t, 1, &m, 1, &err));
    uint64_t whole = track_offsets(&t).metrics;
    struct rlimit before, tiny;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tiny = before;
    tiny.rlim_cur = whole + 10;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    int status = track_metrics(&t, 2, &m, 1, &err);
    struct str line = {0};
    for (int i = 0; i < 200; i++)
        str_putc(&line, 'x');
    struct err sample_err = {0};
    int sample_status = track_sample(&t, &line, &sample_err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, ERR_MACHINE);
    assert_string_equal(err.where, at("metrics.jsonl"));
    assert_non_null(strstr(err.message, "cannot write"));
    assert_int_equal(sample_status, ERR_MACHINE);
    assert_string_equal(sample_err.where, at("samples.jsonl"));
    /* The log ends with its last whole line, and goes on from there once there is room. */
    assert_int_equal(track_offsets(&t).metrics, whole);
    struct stat st;
    assert_int_equal(stat(at("metrics.jsonl"), &st), 0);
    assert_int_equal(st.st_size, whole);
    must(track_metrics(&t, 2, NULL, 0, &err));
    must(track_sample(&t, &line, &err));
    track_close(&t);
    expect_content("metrics.jsonl",
                   "{\"step\": 1, \"a_name_that_makes_the_line_longer\": 0.25}\n{\"step\": 2}\n");
    line.data[line.length - 1] = 'x';
    str_putc(&line, '\n');
    expect_content("samples.jsonl", str_text(&line));
    str_free(&line);
}

static void test_no_memory(void **state)
{
    (void)state;
    size_t blocks = mem_stats().live_blocks;
    const struct metric m = {"name", 1};
    int status = ERR_MACHINE;
    for (long n = 0; status == ERR_MACHINE; n++) {
        struct track t;
        struct str line = {0};
        str_puts(&line, "{}");
        mem_fail_after(n);
        status = track_open(&t, folder, NULL, &err);
        if (!status)
            status = track_metrics(&t, 1, &m, 1, &err);
        if (!status)
            status = track_sample(&t, &line, &err);
        mem_fail_after(-1);
        track_close(&t);
        str_free(&line);
        assert_int_equal(mem_stats().live_blocks, blocks);
    }
    assert_int_equal(status, 0);
    /* A line that could not be composed is not written. */
    struct track t;
    must(track_open(&t, folder, NULL, &err));
    struct str failed = {.failed = true};
    assert_int_equal(track_sample(&t, &failed, &err), ERR_MACHINE);
    assert_int_equal(track_offsets(&t).samples, 0);
    track_close(&t);
}

/* Once warm, a step of the same size allocates nothing. */
static void test_no_allocation(void **state)
{
    (void)state;
    struct track t;
    must(track_open(&t, folder, NULL, &err));
    struct str line = {0};
    str_puts(&line, "{\"text\": \"a sample\"}");
    const struct metric m[] = {{"loss", 0.5}, {"reward", 0.25}};
    size_t calls = 0;
    for (int step = 1; step <= 3; step++) {
        if (step == 2)
            calls = mem_stats().total_calls;
        must(track_metrics(&t, step, m, 2, &err));
        must(track_timing(&t, step, m, 2, &err));
        must(track_sample(&t, &line, &err));
    }
    assert_int_equal(mem_stats().total_calls, calls);
    str_free(&line);
    track_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_resume, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_resume_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_missing_folder, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_disk_full, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_no_memory, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_no_allocation, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
