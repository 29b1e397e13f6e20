/* test_kill9.c: the short version of tests/kill9.sh: a few SIGKILLs at random moments on this
 * machine's best instruction set, each recipe at least once. `tests/kill9.sh 50` is the long one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"

static char binary[1024]; /* set in main: build/<config>/grpo */

static void test_a_few_kills(void **state)
{
    (void)state;
    char command[1200];
    fflush(NULL);
    snprintf(command, sizeof command, "GRPO_BIN='%s' tests/kill9.sh -1 8", binary);
    assert_int_equal(system(command), 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/cli/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/cli/test_kill9\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_few_kills),
    };
    return cmocka_run_group_tests_name("kill9", tests, NULL, NULL);
}
