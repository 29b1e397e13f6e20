/* test_score.c: `grpo score` from outside: the same bytes on any number of threads, answers while
 * the input still comes, fixtures, and what `grpo train` says of a reward that can be gamed. The
 * binary is the one of this configuration: build/<config>/grpo. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/lines.h"

static char binary[1024]; /* set in main */
static char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = temp_folder();
    write_text(in_folder(folder, "in"), "");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

/* Runs `grpo ARGUMENTS` with FOLDER/in, into FOLDER/out and FOLDER/err; its exit status. */
static int grpo(const char *arguments)
{
    char command[4096];
    snprintf(command, sizeof command, "%s %s <'%s' >'%s' 2>'%s'", binary, arguments,
             in_folder(folder, "in"), in_folder(folder, "out"), in_folder(folder, "err"));
    int code = system(command);
    assert_true(WIFEXITED(code));
    return WEXITSTATUS(code);
}

static void assert_has(const char *name, const char *part)
{
    struct str text = read_bytes(in_folder(folder, "%s", name));
    if (!strstr(str_text(&text), part))
        fail_msg("\"%s\" is not in %s: %s", part, name, str_text(&text));
    str_free(&text);
}

/* --- lines --- */

/* Thousands of lines of all kinds, some bad, some much longer than others; the line i is known by
 * what it is answered with. */
static void write_lines(int n)
{
    struct str text = {0};
    for (int i = 0; i < n; i++) {
        if (i % 97 == 5)
            str_puts(&text, "{\"completion\": 3}");
        else if (i % 97 == 6)
            str_puts(&text, "{\"completion\": \"\\ud800\"}");
        else if (i % 97 == 7)
            str_puts(&text, "  \t");
        else {
            str_puts(&text, "{\"completion\": \"");
            for (int k = 0; k < (i % 50 == 0 ? 5000 : i % 13); k++)
                str_puts(&text, "SELECT x FROM t; total 12 ");
            str_printf(&text, "%d\"}", i);
        }
        str_puts(&text, i % 3 ? "\n" : "\r\n");
    }
    write_text(in_folder(folder, "in"), str_text(&text));
    str_free(&text);
}

static void any_threads(void **state)
{
    (void)state;
    enum { LINES = 3000 };
    write_lines(LINES);
    assert_int_equal(grpo("score --reward sql_qa_v2 --explain --threads 1"), 3);
    shell("mv '%s/out' '%s/one'; mv '%s/err' '%s/one_err'", folder, folder, folder, folder);
    int blank = (LINES - 8) / 97 + 1;
    assert_int_equal(count_lines(in_folder(folder, "one")), LINES - blank);
    static const char *const threads[] = {"2", "3", "16", "0"};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        char arguments[100];
        snprintf(arguments, sizeof arguments, "score --reward sql_qa_v2 --explain --threads %s",
                 threads[i]);
        assert_int_equal(grpo(arguments), 3);
        same_bytes(in_folder(folder, "one"), in_folder(folder, "out"), threads[i]);
        same_bytes(in_folder(folder, "one_err"), in_folder(folder, "err"), threads[i]);
    }
    /* a file and a pipe are read alike */
    char command[300];
    snprintf(command, sizeof command, "score --reward sql_qa_v2 --explain --quiet --input '%s'",
             in_folder(folder, "in"));
    assert_int_equal(grpo(command), 3);
    same_bytes(in_folder(folder, "one"), in_folder(folder, "out"), "--input");
    shell("cat '%s/in' | %s score --reward sql_qa_v2 --explain --quiet >'%s/out' 2>/dev/null; true",
          folder, binary, folder);
    same_bytes(in_folder(folder, "one"), in_folder(folder, "out"), "pipe");
    /* the answers are in the order of the lines */
    json_t *tenth = json_line(in_folder(folder, "one"), 10 - 1);
    json_t *line = json_line(in_folder(folder, "one"), 5);
    assert_int_equal(json_integer_value(json_object_get(line, "line")), 6);
    assert_non_null(json_object_get(tenth, "score"));
    json_decref(tenth);
    json_decref(line);
    assert_has("one_err", "the first is line 6;");
}

/* Of bad lines in any order, as threads that help each other meet them, the least is the first. */
static void first_bad_line(void **state)
{
    (void)state;
    struct lines l = {.in.name = "lines"};
    struct err why = {.message = "is bad"};
    static const long met[] = {12, 6, 9};
    for (size_t i = 0; i < sizeof met / sizeof *met; i++)
        lines_bad(&l, met[i], &why);
    assert_true(l.bad == 3 && l.first_bad == 6);
    str_free(&l.out);
}

/* What a caller that waits for each answer writes and expects. */
static void ask(int in, int out, const char *text, int answers)
{
    char buffer[4096];
    size_t got = 0;
    int lines = 0;
    assert_int_equal(write(in, text, strlen(text)), (ssize_t)strlen(text));
    while (lines < answers) {
        ssize_t n = read(out, buffer + got, sizeof buffer - got);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            lines += buffer[got + (size_t)i] == '\n';
        got += (size_t)n;
    }
    assert_int_equal(lines, answers);
}

/* An answer comes as soon as its line is there: with blank lines behind it, half of the next line
 * behind it, several at once. */
static void answers_while_input_comes(void **state)
{
    (void)state;
#define ONE "{\"completion\": \"a\"}\n"
    int in[2], out[2], code;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execl(binary, binary, "score", "--reward", "sql_qa_v2", "--threads", "2", (char *)NULL);
        _exit(99);
    }
    close(in[0]);
    close(out[1]);
    alarm(600); /* a program that waits for more would hang here */
    ask(in[1], out[0], ONE, 1);
    ask(in[1], out[0], ONE "\n\r\n  \n", 1);
    ask(in[1], out[0], ONE ONE ONE "{\"compl", 3);
    ask(in[1], out[0], "etion\": \"b\"}\n" ONE "\n{", 2);
    ask(in[1], out[0], "}\n", 1);
    close(in[1]);
    assert_int_equal(waitpid(child, &code, 0), child);
    alarm(0);
    assert_int_equal(WEXITSTATUS(code), 3); /* the line without a completion */
    close(out[0]);
}

static void failed_writes(void **state)
{
    (void)state;
    write_lines(2000);
    char command[2000];
    snprintf(command, sizeof command,
             "%s score --reward sql_qa_v2 --threads 2 <'%s' >/dev/full 2>/dev/null", binary,
             in_folder(folder, "in"));
    assert_int_equal(WEXITSTATUS(system(command)), 4);
}

/* --- fixtures --- */

static json_t *read_out(void)
{
    struct err err = {0};
    struct str text = read_bytes(in_folder(folder, "out"));
    json_t *json = json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, "out", &err);
    if (!json)
        fail_msg("%s: %s", err.message, str_text(&text));
    str_free(&text);
    return json;
}

static void shipped_fixtures(void **state)
{
    (void)state;
    assert_int_equal(grpo("score --reward sql_valid --fixtures"), 0);
    assert_has("out", "sql_valid");
    assert_has("out", "  holds\n");
    assert_int_equal(grpo("score --reward sql_qa_v2 --fixtures"), 1);
    assert_has("out", "FAILS");
    assert_has("out", "an adversarial (prose without SQL) has 0.720, a gold has 0.590");
    assert_has("err", "sql_qa_v2");
    assert_int_equal(grpo("score --fixtures --json"), 1);
    json_t *json = read_out();
    assert_true(json_is_false(json_object_get(json, "holds")));
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(json, "rewards"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "reward"));
        bool gameable = strcmp(name, "sql_qa_v2") == 0;
        assert_int_equal(json_is_true(json_object_get(item, "holds")), !gameable);
        const json_t *wrong = json_object_get(item, "violations");
        assert_int_equal(json_array_size(wrong) > 0, gameable);
        if (!gameable)
            continue;
        const json_t *worse = json_object_get(json_array_get(wrong, 0), "worse"),
                     *better = json_object_get(json_array_get(wrong, 0), "better");
        assert_true(json_number_value(json_object_get(worse, "score")) >=
                    json_number_value(json_object_get(better, "score")));
        assert_true(strlen(json_string_value(json_object_get(worse, "note"))) > 0);
    }
    assert_true(i >= 4);
    json_decref(json);
}

/* They are in the program: any folder will do, and nothing is left in it. */
static void fixtures_anywhere(void **state)
{
    (void)state;
    char cwd[600];
    assert_non_null(getcwd(cwd, sizeof cwd));
    shell("mkdir '%s/away' && cd '%s/away' && '%s%s%s' score --reward sql_valid --fixtures "
          ">'%s/out' && rmdir '%s/away'",
          folder, folder, *binary == '/' ? "" : cwd, *binary == '/' ? "" : "/", binary, folder,
          folder);
    assert_has("out", "  holds\n");
}

static void own_fixtures(void **state)
{
    (void)state;
    char arguments[1500], file[600];
    snprintf(file, sizeof file, "%s/mine.jsonl", folder);
    write_text(file, "{\"kind\": \"gold\", \"case\": \"a\", \"completion\": \"abc\"}\n"
                     "{\"kind\": \"near_miss\", \"case\": \"a\", \"completion\": \"ab\"}\n"
                     "{\"kind\": \"empty\", \"case\": \"a\", \"completion\": \"\"}\n"
                     "{\"kind\": \"adversarial\", \"case\": \"a\", \"note\": \"\\u001b[31mred\", "
                     "\"completion\": \"abcabc\"}\n");
    snprintf(arguments, sizeof arguments,
             "score --reward length --params '{\"target\": 3}' --fixtures-file '%s'", file);
    assert_int_equal(grpo(arguments), 0);
    snprintf(arguments, sizeof arguments,
             "score --reward length --params '{\"target\": 6}' --fixtures-file '%s'", file);
    assert_int_equal(grpo(arguments), 1);
    assert_has("out", "a gold has 0.500");
    struct str text = read_bytes(in_folder(folder, "out"));
    assert_null(memchr(str_text(&text), '\033', text.length));
    str_free(&text);
    snprintf(arguments, sizeof arguments, "score --reward length --fixtures-file '%s'", file);
    assert_int_equal(grpo(arguments), 2);
    assert_has("err", "mine.jsonl, line 1");
    assert_int_equal(grpo("score --reward length --fixtures-file no/such.jsonl"), 3);
}

static void options_of_fixtures(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *message;
    } bad[] = {
        {"score --reward puhs --fixtures", "did you mean \"push\""},
        {"score --fixtures-file x", "--reward: is required"},
        {"score --fixtures --params {}", "--reward: is required"},
        {"score --fixtures --fixtures-file x --reward push", "--fixtures-file: does not go"},
        {"score --fixtures --explain", "--explain: has no use with fixtures"},
        {"score --fixtures --data x", "--data: has no use with fixtures"},
        {"score --fixtures --input x", "--input: has no use with fixtures"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(grpo(bad[i].arguments), 2);
        assert_has("err", bad[i].message);
    }
    assert_int_equal(grpo("score --help"), 0);
    assert_has("out", "params: min, max (or target)");
    assert_has("out", "--fixtures-file FILE");
}

/* --- training on a reward that can be gamed --- */

static void train_warns(void **state)
{
    (void)state;
    static const char *const rewards[] = {
        "[sql_qa_v2, {name: insights, weight: 0}]",
        "[{name: sql_qa_v2, known_gameable: true}]",
        "[insights]",
    };
    static const char *const verdicts[] = {"fails", "known_gameable", "holds"};
    static const char *const said[] = {"sql_qa_v2 does not hold", "can be gamed, as the recipe"};
    for (int i = 0; i < 3; i++) {
        char arguments[1500];
        write_text(in_folder(folder, "recipe.yaml"), TRAIN_RECIPE "max_steps: 1\n");
        snprintf(arguments, sizeof arguments, "train '%s' --out '%s/run-%d' --quiet --set '%s=%s'",
                 in_folder(folder, "recipe.yaml"), folder, i, "rewards", rewards[i]);
        assert_int_equal(grpo(arguments), 0);
        if (i < 2) {
            assert_has("err", said[i]);
        } else {
            struct str text = read_bytes(in_folder(folder, "err"));
            assert_null(strstr(str_text(&text), "reward"));
            str_free(&text);
        }
        json_t *json = json_line(in_folder(folder, "run-%d/run.json", i), 0);
        const json_t *list = json_object_get(json_object_get(json, "gates"), "rewards"),
                     *item = json_array_get(list, 0);
        assert_int_equal(json_array_size(list), 1);
        assert_string_equal(json_string_value(json_object_get(item, "verdict")), verdicts[i]);
        json_decref(json);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/cli/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/cli/test_score\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(first_bad_line), TEST(any_threads),         TEST(answers_while_input_comes),
        TEST(failed_writes),  TEST(shipped_fixtures),    TEST(fixtures_anywhere),
        TEST(own_fixtures),   TEST(options_of_fixtures), TEST(train_warns),
    };
    return cmocka_run_group_tests_name("score", tests, NULL, NULL);
}
