/* test_gate_record.c: records of stages: what is written is read back; which part of it others see;
 * when a record still holds. */
#include <string.h>
#include "../support/train_run.h"
#include "base/json.h"
#include "protocol/gate_record.h"

static char *folder;

static int setup(void **state)
{
    (void)state;
    folder = temp_folder();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

/* A record with one input and one output, the file "made". */
static void make(struct gate_record *g, const char *input)
{
    struct err err;
    assert_int_equal(gate_record_begin(g, "smoke", &err), 0);
    strcpy(gate_hashes_add(&g->inputs, "recipe"), input);
    write_text(in_folder(folder, "made"), "as it was\n");
    assert_int_equal(gate_record_output(g, folder, "made", &err), 0);
    gate_put(g, g->figures, "steps", json_integer(3));
    gate_record_say(g, "three steps");
}

static json_t *written(const struct gate_record *g)
{
    struct err err;
    json_t *saved;
    assert_int_equal(gate_write(folder, g, &err), 0);
    assert_int_equal(gate_read(&saved, folder, "smoke", &err), 0);
    assert_non_null(saved);
    return saved;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct gate_record g;
    make(&g, "abc");
    json_t *saved = written(&g);
    assert_string_equal(json_string_value(json_object_get(saved, "verdict")), "pass");
    assert_string_equal(json_string_value(json_object_get(saved, "text")), "three steps");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(saved, "figures"), "steps")), 3);
    assert_true(json_is_null(json_object_get(saved, "error")));
    json_decref(saved);
    gate_record_free(&g);
    no_leftovers(folder, "a record");
}

static void a_record_holds(void **state)
{
    (void)state;
    struct gate_record g;
    struct gate_hashes other = {.n = 0};
    make(&g, "abc");
    json_t *saved = written(&g);
    assert_true(gate_is_current(saved, &g.inputs, folder));
    assert_false(gate_is_current(NULL, &g.inputs, folder));
    strcpy(gate_hashes_add(&other, "recipe"), "abd");
    assert_false(gate_is_current(saved, &other, folder));
    strcpy(other.of[0].sha256, "abc");
    assert_true(gate_is_current(saved, &other, folder));
    strcpy(gate_hashes_add(&other, "model"), "x"); /* an input that it knew nothing of */
    assert_false(gate_is_current(saved, &other, folder));
    write_text(in_folder(folder, "made"), "as it is not\n");
    assert_false(gate_is_current(saved, &g.inputs, folder));
    shell("rm '%s/made'", folder);
    assert_false(gate_is_current(saved, &g.inputs, folder));
    json_decref(saved);
    gate_record_free(&g);
}

static void a_failure_never_holds(void **state)
{
    (void)state;
    static const enum gate_outcome all[] = {OUTCOME_PASS, OUTCOME_WARN, OUTCOME_FAIL,
                                            OUTCOME_SKIPPED};
    for (size_t i = 0; i < 4; i++) {
        struct gate_record g;
        make(&g, "abc");
        g.verdict = all[i];
        json_t *saved = written(&g);
        assert_int_equal(gate_is_current(saved, &g.inputs, folder), all[i] != OUTCOME_FAIL);
        json_decref(saved);
        gate_record_free(&g);
    }
}

/* Clocks, memory and sentences are no result; figures, inputs and verdict are. */
static void others_see_results_alone(void **state)
{
    (void)state;
    struct gate_record g;
    struct err err;
    char before[72], after[72];
    make(&g, "abc");
    json_t *saved = written(&g);
    assert_int_equal(gate_digest(before, saved, &err), 0);
    json_decref(saved);
    g.seconds = 77;
    g.started += 1000;
    gate_put(&g, g.measured, "peak_bytes", json_integer(12345));
    saved = written(&g);
    assert_int_equal(gate_digest(after, saved, &err), 0);
    assert_string_equal(before, after);
    json_decref(saved);
    gate_put(&g, g.figures, "steps", json_integer(4));
    saved = written(&g);
    assert_int_equal(gate_digest(after, saved, &err), 0);
    assert_string_not_equal(before, after);
    json_decref(saved);
    gate_put(&g, g.figures, "steps", json_integer(3));
    strcpy(g.inputs.of[0].sha256, "abd");
    saved = written(&g);
    assert_int_equal(gate_digest(after, saved, &err), 0);
    assert_string_not_equal(before, after);
    json_decref(saved);
    strcpy(g.inputs.of[0].sha256, "abc");
    g.verdict = OUTCOME_WARN;
    saved = written(&g);
    assert_int_equal(gate_digest(after, saved, &err), 0);
    assert_string_not_equal(before, after);
    json_decref(saved);
    gate_record_free(&g);
}

static void what_is_no_record_says_so(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "{", "[]", "{}", "{\"verdict\": 1}", "{\"verdict\": \"pass\", \"figures\": {}}"};
    struct err err;
    json_t *saved;
    assert_int_equal(gate_read(&saved, folder, "kv", &err), 0);
    assert_null(saved);
    shell("mkdir -p '%s/gates'", folder);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_text(in_folder(folder, "gates/kv.json"), texts[i]);
        expect_error(gate_read(&saved, folder, "kv", &err), ERR_INPUT, &err, "kv.json", NULL);
        assert_null(saved);
    }
    assert_int_equal(gate_remove(folder, "kv", &err), 0);
    assert_int_equal(gate_remove(folder, "kv", &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_never_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(others_see_results_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_record_says_so, setup, teardown),
    };
    return cmocka_run_group_tests_name("gate_record", tests, NULL, NULL);
}
