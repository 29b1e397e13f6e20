/* test_audit.c: `grpo audit` from outside: a person at a terminal (undo, skip, quit, resume),
 * sheets, the simulated rater, exit statuses, and what is kept when something has changed. */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../support/support.h"
#include "../support/train_run.h"
#include "base/file.h"
#include "base/json.h"
#include "eval/audit_files.h"

static char binary[1024]; /* set in main */
static char *folder;      /* of one test */
static struct err err;

static int begin(void **state)
{
    (void)state;
    folder = temp_folder();
    return 0;
}

static int end(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

/* The tests' model on two tasks of real rows (no "source"), four completions. */
static const char *write_recipe(const char *more)
{
    char text[2000];
    snprintf(text, sizeof text,
             TRAIN_RECIPE_BARE "data: tests/demo/train.jsonl\neval_data: tests/demo/eval.jsonl\n"
                               "max_steps: 1\nmax_completion_length: 24\nprecision: f32\n%s",
             more);
    return write_text(in_folder(folder, "r.yaml"), text);
}

/* Exit status; what is said goes to FOLDER/out and FOLDER/err. */
static int audit(const char *input, const char *format, ...)
{
    char arguments[1500], command[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    write_text(in_folder(folder, "in"), input);
    snprintf(command, sizeof command,
             "%s audit %s/r.yaml --out %s --threads 1 --n-per-task 2 %s <%s/in >%s/out 2>%s/err",
             binary, folder, folder, arguments, folder, folder, folder);
    int code = system(command);
    assert_true(WIFEXITED(code));
    return WEXITSTATUS(code);
}

static void says(const char *file, const char *part, bool wanted)
{
    struct str text = read_bytes(in_folder(folder, "%s", file));
    if ((strstr(str_text(&text), part) != NULL) != wanted)
        fail_msg("\"%s\" is %sin %s: %s", part, wanted ? "not " : "", file, str_text(&text));
    str_free(&text);
}

static void expect(int status, int wanted)
{
    if (status == wanted)
        return;
    struct str text = read_bytes(in_folder(folder, "err"));
    fail_msg("exit %d, expected %d: %s", status, wanted, str_text(&text));
}

static json_t *verdict(void)
{
    return json_line(in_folder(folder, "audit/audit.json"), 0);
}

static double human(const json_t *audit_json, int row)
{
    const json_t *r = json_array_get(json_object_get(audit_json, "rows"), (size_t)row);
    return json_number_value(json_object_get(r, "human"));
}

/* The marks that lie in scores.csv. */
static void marks(struct audit *a)
{
    struct str text = read_bytes(in_folder(folder, "audit/scores.csv"));
    const char *path = in_folder(folder, "audit/completions.jsonl");
    assert_int_equal(audit_completions_read(a, path, &err), 0);
    assert_int_equal(audit_sheet_read(a, str_text(&text), text.length, "", false, &err), 0);
    str_free(&text);
}

/* A sheet of the folder's completions with these scores, as a spreadsheet of Brazil saves it. */
static void sheet(const char *const scores[4])
{
    struct audit a = {0};
    struct str text = {0};
    const char *path = in_folder(folder, "audit/completions.jsonl");
    assert_int_equal(audit_completions_read(&a, path, &err), 0);
    assert_int_equal(a.n, 4);
    str_puts(&text, "\xEF\xBB\xBFid;human_score\r\n");
    for (int i = 3; i >= 0; i--)
        if (scores[i])
            str_printf(&text, "%s;%s\r\n", a.items[i].id, scores[i]);
    write_text(in_folder(folder, "sheet.csv"), str_text(&text));
    str_free(&text);
    audit_free(&a);
}

/* --- a person --- */

static void test_session(void **state)
{
    (void)state;
    struct audit a = {0};
    write_recipe("audit_min_rho: -1\n");
    /* Two scores, one of them taken back, nonsense in between, then away. */
    expect(audit("8\n3\nu\n11\nx\n4,5\nq\n", ""), 1);
    says("err", "2 of 4 completions have no score yet", true);
    says("err", "no number from 0 to 10", true);
    says("err", "--- completion ---", true);
    marks(&a);
    assert_true(a.items[0].human == 8 && a.items[1].human == 4.5);
    assert_true(a.items[2].mark == AUDIT_OPEN && a.items[3].mark == AUDIT_OPEN);
    audit_free(&a);
    /* Nothing that is there, or was said, tells what the rewards think. */
    assert_false(file_exists(in_folder(folder, "audit/audit.json")));
    for (int i = 0; i < 3; i++) {
        static const char *const files[] = {"err", "audit/completions.jsonl", "audit/scores.csv"};
        says(files[i], "automatic", false);
        says(files[i], "regex", false);
    }
    /* On with it; undo goes back over the beginning; the end of input is as quitting. */
    expect(audit("u\n6\ns\n", ""), 1);
    says("err", "[3 of 4]", true);
    marks(&a);
    assert_true(a.items[1].human == 6 && a.items[2].mark == AUDIT_SKIPPED);
    assert_true(a.items[3].mark == AUDIT_OPEN);
    audit_free(&a);
    expect(audit("0", ""), 1); /* 3 of 4 pairs: below the 4 that an interval needs */
    json_t *v = verdict();
    assert_string_equal(json_string_value(json_object_get(v, "verdict")), "too_few");
    assert_int_equal(json_integer_value(json_object_get(v, "skipped")), 1);
    assert_true(json_is_false(json_object_get(v, "simulated")));
    json_decref(v);
    says("out", "human, 0 to 10", true);
    says("out", "SIMULATED", false);
}

/* `grpo audit` of two rows a task on a terminal of its own; skips where the machine has none to
 * give (a container without /dev/pts). */
static pid_t audit_on_terminal(int *terminal)
{
    pid_t child = forkpty(terminal, NULL, NULL, NULL);
    if (child < 0) {
        print_message("no pseudo-terminal: %s\n", strerror(errno));
        skip();
    }
    if (child == 0) {
        char recipe_path[700];
        snprintf(recipe_path, sizeof recipe_path, "%s/r.yaml", folder);
        execl(binary, binary, "audit", recipe_path, "--out", folder, "--threads", "1",
              "--n-per-task", "2", (char *)NULL);
        _exit(127);
    }
    return child;
}

/* On a terminal, with a completion that would like to drive it. */
static void test_terminal(void **state)
{
    (void)state;
    write_recipe("audit_min_rho: -1\n");
    expect(audit("", ""), 1);
    char was[65], is[65];
    const char *path = in_folder(folder, "audit/completions.jsonl");
    assert_int_equal(sha256_file(was, path, &err), 0);
    shell(
        "sed -i '1s/\"completion\": \"/\"completion\": \"\\\\u001b[2J\\\\u0007\\\\u202eEVIL /' %s",
        path);
    assert_int_equal(sha256_file(is, path, &err), 0);
    assert_string_not_equal(was, is);
    shell("sed -i s/%s/%s/ %s/audit/made_from.json && rm %s/audit/scores.csv", was, is, folder,
          folder);
    int terminal;
    pid_t child = audit_on_terminal(&terminal);
    static const char keys[] = "1\n2\n3\n10\n";
    assert_int_equal(write(terminal, keys, sizeof keys - 1), sizeof keys - 1);
    struct str said = {0};
    char piece[512];
    ssize_t n;
    while ((n = read(terminal, piece, sizeof piece)) > 0)
        str_append(&said, piece, (size_t)n);
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    close(terminal);
    if (!WIFEXITED(code) || WEXITSTATUS(code) > 1)
        fail_msg("%s", str_text(&said));
    assert_non_null(strstr(str_text(&said), "\\u001b[2J\\u0007\\u202eEVIL"));
    assert_null(strstr(str_text(&said), "\x1b[2J"));
    assert_null(strchr(str_text(&said), '\a'));
    str_free(&said);
    json_t *v = verdict();
    assert_true(human(v, 0) == 1 && human(v, 3) == 10);
    json_decref(v);
}

/* A signal while it waits for an answer: 130, and what was scored is there. */
static void test_interrupt(void **state)
{
    (void)state;
    struct audit a = {0};
    write_recipe("");
    expect(audit("", ""), 1);
    int terminal;
    pid_t child = audit_on_terminal(&terminal);
    struct str said = {0};
    char piece[512];
    ssize_t n;
    assert_int_equal(write(terminal, "9\n", 2), 2);
    while (!strstr(str_text(&said), "[2 of 4]") && (n = read(terminal, piece, sizeof piece)) > 0)
        str_append(&said, piece, (size_t)n);
    while (!strstr(strstr(str_text(&said), "[2 of 4]"), "score 0-10") &&
           (n = read(terminal, piece, sizeof piece)) > 0)
        str_append(&said, piece, (size_t)n);
    kill(child, SIGINT);
    while ((n = read(terminal, piece, sizeof piece)) > 0)
        str_append(&said, piece, (size_t)n);
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    close(terminal);
    if (!WIFEXITED(code) || WEXITSTATUS(code) != 130)
        fail_msg("%d: %s", code, str_text(&said));
    str_free(&said);
    marks(&a);
    assert_true(a.items[0].mark == AUDIT_SCORED && a.items[0].human == 9);
    assert_true(a.items[1].mark == AUDIT_OPEN);
    audit_free(&a);
}

/* --- sheets --- */

static void test_sheet(void **state)
{
    (void)state;
    static const char *const good[] = {"7,5", "0", "10", "3"};
    static const char *const open[] = {"7,5", "", "10", "3"};
    static const char *const missing[] = {"7,5", NULL, "10", "3"};
    static const char *const high[] = {"7,5", "0", "10,5", "3"};
    write_recipe("audit_min_rho: -1\n");
    expect(audit("", ""), 1);
    sheet(open);
    expect(audit("", "--scores %s/sheet.csv", folder), 3);
    says("err", "sheet.csv, row 3", true);
    says("err", "has no score for", true);
    sheet(missing);
    expect(audit("", "--scores %s/sheet.csv", folder), 3);
    says("err", "has no row for", true);
    sheet(high);
    expect(audit("", "--scores %s/sheet.csv", folder), 3);
    says("err", "sheet.csv, row 2 (line 3), column human_score", true);
    says("err", "10,5", true);
    expect(audit("", "--scores /nowhere.csv"), 3);
    sheet(good);
    int status = audit("", "--scores %s/sheet.csv --json", folder);
    json_t *v = json_line(in_folder(folder, "out"), 0), *file = verdict();
    assert_true(json_equal(v, file));
    assert_true(human(v, 0) == 7.5 && human(v, 2) == 10 && human(v, 3) == 3);
    static const char *const keys[] = {"reward_versions",
                                       "model_sha256",
                                       "prompts_sha256",
                                       "completions_sha256",
                                       "rho",
                                       "p",
                                       "ci95",
                                       "n",
                                       "per_task",
                                       "simulated",
                                       "verdict"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_object_get(v, keys[i]))
            fail_msg("no key %s", keys[i]);
    bool pass = strcmp(json_string_value(json_object_get(v, "verdict")), "pass") == 0;
    expect(status, pass ? 0 : 1);
    json_decref(v);
    json_decref(file);
    /* All is scored: the same command asks nothing and says the same; another reward is compared
     * with the same scores. */
    struct str before = read_bytes(in_folder(folder, "audit/audit.json"));
    expect(audit("", ""), status);
    same_bytes(in_folder(folder, "audit/audit.json"),
               write_text(in_folder(folder, "before"), str_text(&before)), "again");
    str_free(&before);
    audit("", "--set 'rewards=[{name: length, params: {target: 3}}]'");
    json_t *other = verdict();
    assert_true(human(other, 0) == 7.5);
    assert_non_null(json_object_get(
        json_object_get(json_object_get(other, "reward_versions"), "versions"), "length"));
    assert_null(json_object_get(
        json_object_get(json_object_get(other, "reward_versions"), "versions"), "regex"));
    json_decref(other);
}

/* Other prompts: a person's scores are not thrown away unasked; without any it just samples anew.
 */
static void test_other_prompts(void **state)
{
    (void)state;
    write_recipe("");
    expect(audit("", ""), 1);
    struct str first = read_bytes(in_folder(folder, "audit/completions.jsonl"));
    expect(audit("", "--set seed=7"), 1); /* nobody has scored: anew */
    struct str second = read_bytes(in_folder(folder, "audit/completions.jsonl"));
    assert_string_not_equal(str_text(&first), str_text(&second));
    expect(audit("5\nq\n", "--set seed=7"), 1);
    expect(audit("", ""), 2);
    says("err", "which would be lost", true);
    expect(audit("", "--set max_completion_length=12 --set seed=7"), 2);
    shell("echo >>%s/audit/completions.jsonl", folder); /* or the file was touched */
    expect(audit("", "--set seed=7"), 2);
    expect(audit("", "--restart"), 1);
    struct str third = read_bytes(in_folder(folder, "audit/completions.jsonl"));
    assert_string_equal(str_text(&first), str_text(&third)); /* the same draws */
    str_free(&first);
    str_free(&second);
    str_free(&third);
}

/* --- the simulated rater --- */

static void test_simulated_refused(void **state)
{
    (void)state;
    write_recipe("");
    expect(audit("", "--simulate"), 2);
    says("err", "a person has to score", true);
    says("err", "tests/demo/train.jsonl", true);
    assert_false(file_exists(in_folder(folder, "audit/audit.json")));
    expect(audit("", "--simulate --scores x.csv"), 2);
}

static void test_simulated(void **state)
{
    (void)state;
    char text[4000], rows[700];
    shell("%s data synth --seed 9 --train 12 --eval 3 --test 3 --out %s/shop >/dev/null", binary,
          folder);
    snprintf(rows, sizeof rows, "%s/shop", folder);
    snprintf(text, sizeof text,
             "model: assets/demo/model\ndata: %s/train.jsonl\neval_data: %s/eval.jsonl\n"
             "test_data: %s/test.jsonl\nmax_completion_length: 128\nmax_steps: 1\nrewards:\n"
             "  extraction: [extraction]\n  sql_qa: [{name: sql_exec, params: {folder: %s}}]\n"
             "  insights: [insights]\n  push: [push]\n",
             rows, rows, rows, rows);
    write_text(in_folder(folder, "r.yaml"), text);
    expect(audit("", "--simulate --n-per-task 5"), 0);
    says("out", "SIMULATED", true);
    says("audit/scatter.svg", "SIMULATED", true);
    json_t *v = verdict();
    assert_true(json_is_true(json_object_get(v, "simulated")));
    assert_int_equal(json_integer_value(json_object_get(v, "n")), 20);
    assert_true(json_number_value(json_object_get(v, "rho")) > 0.7);
    json_decref(v);
    struct str before = read_bytes(in_folder(folder, "audit/audit.json"));
    write_text(in_folder(folder, "before"), str_text(&before));
    expect(audit("", "--simulate --n-per-task 5 --restart --threads 2"), 0);
    same_bytes(in_folder(folder, "audit/audit.json"), in_folder(folder, "before"), "anew");
    str_free(&before);
    /* A reward that likes what is bad is found out. */
    expect(audit("", "--simulate --n-per-task 5 --set 'rewards=[{name: length, params: {target: "
                     "100000}}]'"),
           1);
    says("err", "simulated", true);
    /* A person's sheet is another file, and still empty. */
    struct audit a = {0};
    marks(&a);
    assert_int_equal(audit_count(&a, AUDIT_OPEN), 20);
    audit_free(&a);
}

static void test_usage(void **state)
{
    (void)state;
    write_recipe("");
    shell("%s audit %s/.yaml >/dev/null 2>%s/err; test $? = 2", binary, folder, folder);
    says("err", "--out", true); /* no name for a folder below runs/ */
    expect(audit("", "--set audit_min_rho=1.5"), 2);
    says("err", "audit_min_rho", true);
    expect(audit("", "--set model=/nowhere"), 3);
}

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *cut = strstr(binary, "/tests/cli/");
    if (!cut) {
        fprintf(stderr, "run as build/<config>/tests/cli/test_audit\n");
        return 1;
    }
    snprintf(cut, sizeof binary - (size_t)(cut - binary), "/grpo");
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_session),   TEST(test_terminal),      TEST(test_interrupt),
        TEST(test_sheet),     TEST(test_other_prompts), TEST(test_simulated_refused),
        TEST(test_simulated), TEST(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
