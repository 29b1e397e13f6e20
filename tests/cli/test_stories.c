/* test_stories.c: a model that somebody else trained, from its own file format to its own words.
 * stories260K (Llama architecture, grouped heads, a SentencePiece vocabulary) is converted by
 * tools/convert_llama2c.py and continued greedily; ids and text must be those recorded from double
 * precision. Standard library Python converts, hence the skip where there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

static const char python[] = "/usr/bin/python3";
static char binary[1024]; /* set in main */

static void shell(const char *command)
{
    int code = system(command);
    if (!WIFEXITED(code) || WEXITSTATUS(code) != 0)
        fail_msg("failed: %s", command);
}

static json_t *read_object(const char *path)
{
    struct str text = {0};
    struct err err = {0};
    assert_int_equal(file_read(&text, path, &err), 0);
    json_t *value = json_read(str_text(&text), text.length, 0, path, &err);
    if (!value)
        fail_msg("%s", err.message);
    str_free(&text);
    return value;
}

static void test_greedy(void **state)
{
    (void)state;
    char weights[600], expected[700], command[4096], path[700];
    const char *found = asset("weights/stories260K");
    if (!found)
        skip();
    snprintf(weights, sizeof weights, "%s", found);
    if (access(python, X_OK) != 0) {
        printf("%s is not here\n", python);
        skip();
    }
    char *folder = temp_folder();
    snprintf(command, sizeof command,
             "%s tools/convert_llama2c.py %s/stories260K.bin %s/tok512.bin %s/model >&2", python,
             weights, weights, folder);
    shell(command);
    snprintf(command, sizeof command,
             "echo '{\"prompt_ids\": [1]}' | %s generate --model %s/model --precision f32 "
             "--temperature 0 --n 1 --seed 1 --max-tokens 200 >%s/out.json",
             binary, folder, folder);
    shell(command);

    snprintf(path, sizeof path, "%s/out.json", folder);
    json_t *got = read_object(path);
    snprintf(expected, sizeof expected, "%s/greedy_200.json", weights);
    json_t *want = read_object(expected);
    const json_t *ids = json_object_get(got, "ids"), *all = json_object_get(want, "ids");
    assert_int_equal(json_array_size(ids), 200);
    assert_int_equal(json_array_size(all), 201); /* with the prompt */
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(json_integer_value(json_array_get(ids, i)),
                         json_integer_value(json_array_get(all, i + 1)));

    struct str text = {0};
    struct err err = {0};
    snprintf(expected, sizeof expected, "%s/greedy_200.txt", weights);
    assert_int_equal(file_read(&text, expected, &err), 0);
    const char *said = json_string_value(json_object_get(got, "text"));
    assert_non_null(said);
    size_t length = strlen(said);
    assert_true(length >= 400 && text.length >= length);
    assert_memory_equal(said, str_text(&text), length);
    str_free(&text);
    json_decref(got);
    json_decref(want);
    temp_folder_remove(folder);
}

int main(void)
{
    const char *named = getenv("GRPO_BIN");
    snprintf(binary, sizeof binary, "%s", named ? named : "build/release/grpo");
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_greedy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
