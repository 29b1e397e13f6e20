/* test_suite.c: mistakes that no run can see in itself must turn the suite red. Test programs were
 * linked a second time with the wrappers of faults.c (build/<config>/faulted); each runs the one
 * test that is there for the mistake, without it, which passes, and with it, which must fail by an
 * assertion: not by a crash, and not by running nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "../support/train_run.h"
#include "faults.h"

static char programs[1024]; /* build/<config>/faulted/tests; set in main */

static const struct {
    enum fault fault;
    const char *program, *test;
} mistakes[] = {
    {MASK_OFF_BY_ONE, "train/test_trl_replay", "one_completion_a_pass"},
    {DENOMINATOR_OF_COMPLETION, "train/test_trl_replay", "one_completion_a_pass"},
    {LOSS_SIGN, "train/test_learning", "one_token_is_learnt"},
    {BACKWARD_SCALED, "model/test_gradient", "test_top_layer"},
    {PROMPT_CUT, "train/test_bad_input", "long_prompts"},
    {REWARD_NOISE, "train/test_learning", "a_constant_reward_moves_nothing"},
    {FAILURE_IS_ZERO, "train/test_external", "test_some_fail"},
    {MOMENTS_LOST, "train/test_resume", "resume_plain"},
    {CURSOR_LOST, "train/test_resume", "resume_plain"},
};

/* Runs one test with a fault; says what came of it as cmocka counts. */
static void try_test(const char *program, const char *test, enum fault fault, bool *passed,
                     bool *failed, struct str *text)
{
    char command[3000], *folder = temp_folder();
    const char *emulator = getenv("GRPO_EMULATOR");
    snprintf(command, sizeof command,
             "GRPO_PLANT=%s GRPO_PLANT_TEST=%s timeout 120 %s '%s/%s' >'%s/out' 2>&1",
             fault_names[fault], test, emulator ? emulator : "", programs, program, folder);
    int code = system(command);
    *text = read_bytes(in_folder(folder, "out"));
    *passed = WIFEXITED(code) && WEXITSTATUS(code) == 0 &&
              strstr(str_text(text), "[  PASSED  ] 1 test(s)");
    *failed = WIFEXITED(code) && WEXITSTATUS(code) == 1 && strstr(str_text(text), "[  FAILED  ]") &&
              !strstr(str_text(text), "Test failed with "
                                      "exception");
    temp_folder_remove(folder);
}

static bool tried_before(size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(mistakes[j].test, mistakes[i].test) == 0)
            return true;
    return false;
}

static void the_suite_turns_red(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const char *program = mistakes[i].program, *test = mistakes[i].test;
        bool passed, failed;
        struct str text;
        if (!tried_before(i)) {
            try_test(program, test, NO_FAULT, &passed, &failed, &text);
            if (!passed && strstr(str_text(&text), "[  SKIPPED ]")) {
                print_message("%s of %s skips here\n", test, program);
                str_free(&text);
                continue;
            }
            if (!passed)
                fail_msg("%s of %s does not pass as it is: %s", test, program, str_text(&text));
            str_free(&text);
        }
        try_test(program, test, mistakes[i].fault, &passed, &failed, &text);
        if (!failed)
            fail_msg("%s is not found by %s of %s: %s", fault_names[mistakes[i].fault], test,
                     program, str_text(&text));
        print_message("%s: found by %s of %s\n", fault_names[mistakes[i].fault], test, program);
        str_free(&text);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(programs, sizeof programs, "%s", argv[0]);
    char *end = strstr(programs, "/tests/faults/");
    if (!end)
        return 1;
    snprintf(end, sizeof programs - (size_t)(end - programs), "/faulted/tests");
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_suite_turns_red)};
    return cmocka_run_group_tests_name("suite", tests, NULL, NULL);
}
