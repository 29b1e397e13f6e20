/* test_identity.c: the hash over a folder: what it depends on, and the same from another thread. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "../support/support.h"
#include "base/file.h"
#include "train/identity.h"

static const char *at(const char *folder, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *folder, const char *name, const char *text, size_t length)
{
    struct err err = {0};
    assert_int_equal(file_write_atomic(at(folder, name), text, length, &err), 0);
}

/* By identity_folder and in a thread: the same. */
static void hash_of(char out[72], const char *folder)
{
    struct err err = {0};
    struct identity_work work;
    char again[72];
    assert_int_equal(identity_folder(out, folder, &err), 0);
    identity_folder_begin(&work, folder);
    assert_int_equal(identity_folder_end(again, &work, &err), 0);
    assert_string_equal(out, again);
    assert_int_equal(strlen(out), 64);
}

/* Names and contents count, others than a model's files do not; a file longer than one read. */
static void test_folder(void **state)
{
    (void)state;
    static char weights[200000];
    char *folder = temp_folder(), first[72], second[72], hash[72];
    memset(weights, 'w', sizeof weights);
    write_file(folder, "model.safetensors", weights, sizeof weights);
    write_file(folder, "config.json", "{}", 2);
    hash_of(first, folder);
    write_file(folder, "notes.txt", "x", 1);
    hash_of(hash, folder);
    assert_string_equal(hash, first);
    weights[sizeof weights - 1] = 'v';
    write_file(folder, "model.safetensors", weights, sizeof weights);
    hash_of(second, folder);
    assert_string_not_equal(second, first);
    remove(at(folder, "config.json"));
    write_file(folder, "tokenizer.json", "{}", 2);
    hash_of(hash, folder);
    assert_string_not_equal(hash, second);
    temp_folder_remove(folder);
}

/* An error found by the thread is its caller's, with the place. */
static void test_errors(void **state)
{
    (void)state;
    char *folder = temp_folder(), hash[72];
    struct identity_work work;
    struct err err = {0};
    mkdir(at(folder, "a.safetensors"), 0777);
    identity_folder_begin(&work, folder);
    assert_int_equal(identity_folder_end(hash, &work, &err), ERR_INPUT);
    assert_int_equal(err.code, ERR_INPUT);
    assert_non_null(strstr(err.where, "a.safetensors"));
    assert_non_null(strstr(err.message, "not a regular file"));
    identity_folder_begin(&work, "/none");
    assert_int_equal(identity_folder_end(hash, &work, NULL), ERR_INPUT);
    remove(at(folder, "a.safetensors"));
    temp_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_folder),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
