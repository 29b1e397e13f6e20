/* test_file.c: mapping, atomic replacement, append-only logs, hashes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/mem.h"

static char *folder;

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

/* A path in the test's folder; a few at a time. */
static const char *at(const char *name)
{
    static char paths[8][512];
    static int next;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static void expect_content(const char *path, const char *expected)
{
    struct str text = {0};
    struct err err = {0};
    assert_int_equal(file_read(&text, path, &err), 0);
    assert_string_equal(str_text(&text), expected);
    str_free(&text);
}

static void test_write_atomic(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(file_write_atomic(at("a"), "one", 3, &err), 0);
    expect_content(at("a"), "one");
    assert_int_equal(file_write_atomic(at("a"), "second", 6, &err), 0);
    expect_content(at("a"), "second");
    assert_int_equal(file_write_atomic(at("a"), NULL, 0, &err), 0);
    expect_content(at("a"), "");
    /* Into a missing folder: an error that names the file, and nothing appears. */
    assert_int_equal(file_write_atomic(at("no/a"), "x", 1, &err), ERR_MACHINE);
    assert_non_null(strstr(err.where, "no/a"));
    /* Onto a folder: refused, and no temporary stays behind. */
    assert_int_equal(dir_make(at("d"), &err), 0);
    assert_int_equal(file_write_atomic(at("d"), "x", 1, &err), ERR_MACHINE);
    assert_int_equal(unlink(at("a")), 0);
    assert_int_equal(rmdir(at("d")), 0);
    assert_true(dir_is_empty(folder));
}

/* /dev/full is a disk without space. */
static void test_disk_full(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0) {
        print_message("/dev/full is not here\n");
        skip();
    }
    struct err err = {0};
    struct file_log log = {.fd = -1};
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    log.fd = dup(fileno(full));
    fclose(full);
    log.path = mem_strdup("metrics.jsonl");
    assert_int_equal(file_log_write(&log, "x", 1, &err), ERR_MACHINE);
    assert_string_equal(err.where, "metrics.jsonl");
    assert_non_null(strstr(err.message, "No space left"));
    assert_int_equal(log.offset, 0);
    file_log_close(&log);
}

static void test_map(void **state)
{
    (void)state;
    struct err err = {0};
    struct file_map map;
    assert_int_equal(file_map_open(&map, at("missing"), &err), ERR_INPUT);
    assert_non_null(strstr(err.where, "missing"));
    assert_int_equal(file_map_open(&map, folder, &err), ERR_INPUT);
    assert_int_equal(file_write_atomic(at("m"), "bytes", 5, &err), 0);
    assert_int_equal(file_map_open(&map, at("m"), &err), 0);
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "bytes", 5);
    file_map_close(&map);
    assert_int_equal(file_write_atomic(at("m"), "", 0, &err), 0);
    assert_int_equal(file_map_open(&map, at("m"), &err), 0);
    assert_int_equal(map.size, 0);
    assert_null(map.data);
    file_map_close(&map);
}

static void test_folders(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(dir_make(at("x/y/z/"), &err), 0);
    assert_int_equal(dir_make(at("x/y/z"), &err), 0);
    assert_true(dir_exists(at("x/y/z")));
    assert_int_equal(dir_make("", &err), ERR_MACHINE);
    if (dir_exists("/sys/kernel")) { /* where nobody makes folders */
        assert_int_equal(dir_make("/sys/kernel/grpo", &err), ERR_MACHINE);
        assert_null(strstr(err.message, "No such file")); /* mkdir's reason, not stat's */
    }
    assert_false(dir_is_empty(at("x")));
    assert_true(dir_is_empty(at("x/y/z")));
    assert_true(dir_is_empty(at("missing")));
    assert_int_equal(file_write_atomic(at("x/file"), "1", 1, &err), 0);
    assert_int_equal(dir_make(at("x/file/below"), &err), ERR_MACHINE);
    assert_int_equal(dir_make(at("x/file"), &err), ERR_MACHINE);
    assert_false(dir_is_empty(at("x/file")));
    /* A link is removed, what it points to is not. */
    assert_int_equal(dir_make(at("outside"), &err), 0);
    assert_int_equal(file_write_atomic(at("outside/keep"), "k", 1, &err), 0);
    assert_int_equal(symlink(at("outside"), at("x/y/link")), 0);
    assert_int_equal(dir_remove(at("x"), &err), 0);
    assert_false(dir_exists(at("x")));
    expect_content(at("outside/keep"), "k");
    assert_int_equal(dir_remove(at("x"), &err), 0); /* already gone */
    assert_int_equal(dir_remove(at("outside"), &err), 0);
}

static void test_replace(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(dir_make(at("new/sub"), &err), 0);
    assert_int_equal(file_write_atomic(at("new/sub/f"), "1", 1, &err), 0);
    assert_int_equal(dir_replace_atomic(at("new"), at("checkpoint"), &err), 0);
    expect_content(at("checkpoint/sub/f"), "1");
    assert_false(dir_exists(at("new")));
    assert_int_equal(dir_make(at("new"), &err), 0);
    assert_int_equal(file_write_atomic(at("new/g"), "2", 1, &err), 0);
    assert_int_equal(dir_replace_atomic(at("new"), at("checkpoint"), &err), 0);
    expect_content(at("checkpoint/g"), "2");
    assert_false(file_exists(at("checkpoint/sub/f")));
    assert_false(dir_exists(at("new")));
    assert_int_equal(dir_replace_atomic(at("missing"), at("checkpoint"), &err), ERR_MACHINE);
    expect_content(at("checkpoint/g"), "2");
    assert_int_equal(dir_remove(at("checkpoint"), &err), 0);
}

static void test_log(void **state)
{
    (void)state;
    struct err err = {0};
    struct file_log log;
    assert_int_equal(file_log_open(&log, at("log"), 0, &err), 0);
    assert_int_equal(file_log_write(&log, "one\n", 4, &err), 0);
    assert_int_equal(file_log_write(&log, "two\n", 4, &err), 0);
    assert_int_equal(file_log_sync(&log, &err), 0);
    assert_int_equal(log.offset, 8);
    file_log_close(&log);
    /* A resumed run cuts back to its checkpoint and writes on from there. */
    assert_int_equal(file_log_open(&log, at("log"), 4, &err), 0);
    assert_int_equal(log.offset, 4);
    expect_content(at("log"), "one\n");
    assert_int_equal(file_log_write(&log, "three\n", 6, &err), 0);
    file_log_close(&log);
    expect_content(at("log"), "one\nthree\n");
    /* A log shorter than its checkpoint says is another file. */
    assert_int_equal(file_log_open(&log, at("log"), 11, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "10 bytes"));
    expect_content(at("log"), "one\nthree\n");
    file_log_close(&log);
    assert_int_equal(file_log_open(&log, at("no/log"), 0, &err), ERR_MACHINE);
    file_log_close(&log);
}

static void test_join(void **state)
{
    (void)state;
    struct str s = {0};
    assert_string_equal(path_join(&s, "a", "b"), "a/b");
    assert_string_equal(path_join(&s, "a/", "b"), "a/b");
    assert_string_equal(path_join(&s, "/", "b"), "/b");
    assert_string_equal(path_join(&s, "", "b"), "b");
    str_free(&s);
}

/* FIPS 180-4 examples. */
static void test_sha256(void **state)
{
    (void)state;
    char hex[65];
    sha256_hex(hex, "abc", 3);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex(hex, "", 0);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct err err = {0};
    assert_int_equal(file_write_atomic(at("h"), "abc", 3, &err), 0);
    assert_int_equal(sha256_file(hex, at("h"), &err), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256_file(hex, at("none"), &err), ERR_INPUT);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(file_write_atomic(at("n"), "some text", 9, &err), 0);
    size_t live = mem_stats().live_blocks;
    for (int n = 0; n < 6; n++) {
        struct str text = {0};
        struct file_log log = {.fd = -1};
        mem_fail_after(n);
        int a = file_write_atomic(at("n"), "some text", 9, &err);
        int b = file_read(&text, at("n"), &err);
        int c = file_log_open(&log, at("n2"), 0, &err);
        int d = dir_make(at("q/r"), &err);
        mem_fail_after(-1);
        assert_true((a == 0 || a == ERR_MACHINE) && (b == 0 || b == ERR_MACHINE));
        assert_true((c == 0 || c == ERR_MACHINE) && (d == 0 || d == ERR_MACHINE));
        if (n < 4)
            assert_true(a || b || c || d);
        str_free(&text);
        file_log_close(&log);
        assert_int_equal(mem_stats().live_blocks, live);
        expect_content(at("n"), "some text");
    }
}

static void test_err(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_INPUT, "row 3", "%s", "is bad"), ERR_INPUT);
    err_prefix(&err, "data.jsonl");
    assert_string_equal(err.where, "data.jsonl: row 3");
    assert_int_equal(err_set(&err, ERR_USAGE, err.where, "again: %s", err.message), ERR_USAGE);
    assert_string_equal(err.message, "again: is bad");
    assert_string_equal(err.where, "data.jsonl: row 3");
    assert_int_equal(err_set(NULL, ERR_MACHINE, "", "x"), ERR_MACHINE);
    err_prefix(NULL, "x");
    char long_text[3000];
    memset(long_text, 'y', sizeof long_text);
    long_text[sizeof long_text - 1] = 0;
    err_set(&err, ERR_INPUT, long_text, "%s", long_text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    err_prefix(&err, long_text);
    assert_int_equal(strlen(err.where), sizeof err.where - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_atomic), cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_map),          cmocka_unit_test(test_folders),
        cmocka_unit_test(test_replace),      cmocka_unit_test(test_log),
        cmocka_unit_test(test_join),         cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_no_memory),    cmocka_unit_test(test_err),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
