/* test_command.c: the reward `command` against workers that hang, die, lie and flood. Whatever they
 * do, a question is answered or `failed`, in bounded time; an answer is never taken for another
 * question's; and no process, zombie, descriptor or block stays. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "cases.h"
#include "base/interrupt.h"
#include "base/log.h"

static const char python[] = "/usr/bin/python3";
#define WORKER "tests/reward/workers/worker.py"
#define SH_LOOP                                                                                    \
    "while IFS= read -r q; do id=${q#*\\\"id\\\": }; id=${id%%,*}; "                               \
    "echo \"{\\\"id\\\": $id, \\\"score\\\": 0.5}\"; done"

static bool no_python(void)
{
    if (access(python, X_OK) == 0)
        return false;
    print_message("%s is not here\n", python);
    return true;
}

#define NEEDS_PYTHON()                                                                             \
    do                                                                                             \
        if (no_python())                                                                           \
            skip();                                                                                \
    while (0)

/* --- what stays behind --- */

static int open_files(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

struct before {
    int files;
    size_t blocks;
};

static struct before look(void)
{
    return (struct before){open_files(), mem_stats().live_blocks};
}

static void nothing_left(struct before before)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child, dead or alive */
    assert_int_equal(errno, ECHILD);
    assert_int_equal(open_files(), before.files);
    assert_int_equal(mem_stats().live_blocks, before.blocks);
}

/* --- rewards --- */

/* A worker of a mode, with more parameters as JSON members (each begins with a comma). */
static reward *python_reward(const char *mode, const char *argument, const char *more)
{
    char params[1024];
    snprintf(params, sizeof params, "{\"command\": [\"%s\", \"" WORKER "\", \"%s\", \"%s\"]%s}",
             python, mode, argument, more);
    return make_reward("command", params);
}

/* A shell script. */
static reward *shell_reward(const char *script, const char *more)
{
    json_t *params = json_pack("{s: [s, s, s]}", "command", "sh", "-c", script);
    json_t *rest = json_loads(more, 0, NULL);
    struct err err = {0};
    reward *r = NULL;
    json_object_update(params, rest);
    if (reward_create(&r, "command", params, &err))
        fail_msg("%s: %s", err.where, err.message);
    json_decref(params);
    json_decref(rest);
    return r;
}

static void must_fail(const reward *r, const char *says)
{
    struct reward_result out = evaluate(r, "p", "abc", 3);
    assert_int_equal(out.status, REWARD_FAILED);
    assert_true(isnan(out.score));
    if (!strstr(out.reason, says))
        fail_msg("\"%s\" does not say \"%s\"", out.reason, says);
}

/* --- good ones --- */

static void test_shell(void **state)
{
    (void)state;
    struct before before = look();
    reward *r = shell_reward(SH_LOOP, "{}");
    for (int i = 0; i < 50; i++)
        assert_true(score_of(r, "p", "abc\n\"id\": 5, ") == 0.5);
    int n;
    const struct reward_component *list = reward_components(r, &n);
    assert_int_equal(n, 1);
    assert_string_equal(list[0].name, "score");
    reward_free(r);
    nothing_left(before);
}

/* Everything a completion may hold arrives as it is, but for bytes that are no UTF-8. */
static void test_texts_arrive(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    static const struct {
        const char *text;
        size_t length;
        const char *arrives; /* NULL: the same */
    } cases[] = {
        {"", 0, NULL},
        {"a\nb\r\n\n", 6, NULL},
        {"a\0b", 3, NULL},
        {"\"}\n{\"id\": 1, \"score\": 9}\n", 25, NULL},
        {"caf\xC3\xA9 \xF0\x9F\x98\x80 \xE2\x80\xA8", 15, NULL},
        {"\xFF\xC3(", 3, "\xEF\xBF\xBD\xEF\xBF\xBD("},
        {"\xED\xA0\x80", 3, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\\u0000 \\", 8, NULL},
    };
    struct before before = look();
    reward *r = python_reward("tell", "", ", \"group\": true");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice group[2] = {{"other", 5}, {cases[i].text, cases[i].length}};
        json_t *row = json_pack("{s: s, s: {s: i}}", "id", "r1", "reference", "x", 3);
        struct reward_input in = {.prompt = "p\nq",
                                  .prompt_length = 3,
                                  .completion = cases[i].text,
                                  .completion_length = cases[i].length,
                                  .row = row,
                                  .group = group,
                                  .n_group = 2,
                                  .sample = 1};
        struct reward_result out;
        struct str explain = {0};
        reward_evaluate(r, &in, &out, &explain);
        assert_int_equal(out.status, REWARD_OK);
        json_t *request = json_loadb(explain.data, explain.length, JSON_ALLOW_NUL, NULL);
        json_t *completion = json_object_get(request, "completion");
        const char *wanted = cases[i].arrives ? cases[i].arrives : cases[i].text;
        size_t n = cases[i].arrives ? strlen(wanted) : cases[i].length;
        assert_int_equal(json_string_length(completion), n);
        assert_memory_equal(json_string_value(completion), wanted, n);
        assert_string_equal(json_string_value(json_object_get(request, "prompt")), "p\nq");
        assert_true(json_equal(json_object_get(request, "row"), row));
        assert_int_equal(json_array_size(json_object_get(request, "group")), 2);
        assert_int_equal(json_integer_value(json_object_get(request, "sample")), 1);
        json_decref(request);
        json_decref(row);
        str_free(&explain);
    }
    reward_free(r);
    nothing_left(before);
}

/* A request larger than any pipe, and one that is answered before it is read. */
static void test_large(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    struct before before = look();
    size_t n = 3000000;
    char *text = malloc(n);
    memset(text, 'a', n);
    reward *r = python_reward("good", "", "");
    assert_true(evaluate(r, "", text, n).score == (double)n);
    reward_free(r);
    r = shell_reward("echo '{\"id\": 1, \"score\": 4}'; exec sleep 1000", "{}");
    struct reward_result out = evaluate(r, "", text, n);
    assert_int_equal(out.status, REWARD_FAILED); /* and what it left unread is nobody's request */
    assert_non_null(strstr(out.reason, "answered before it had read the request"));
    reward_free(r);
    free(text);
    nothing_left(before);
}

struct hammer {
    const reward *r;
    char text[64];
    int length, wrong;
};

static void *hammer(void *argument)
{
    struct hammer *h = argument;
    for (int i = 0; i < 200; i++)
        h->wrong += evaluate(h->r, "", h->text, (size_t)h->length).score != h->length;
    return NULL;
}

/* More threads than workers: each gets its own answer. */
static void test_threads(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    struct before before = look();
    reward *r = python_reward("good", "", ", \"workers\": 3");
    struct hammer h[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        h[i] = (struct hammer){.r = r, .length = 3 * i + 1};
        memset(h[i].text, 'x', sizeof h[i].text);
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &h[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(h[i].wrong, 0);
    }
    assert_int_equal(reward_manner(r).side_by_side, 3);
    reward_free(r);
    nothing_left(before);
}

static void *ask_once(void *r)
{
    return (void *)(uintptr_t)(evaluate(r, "", "ab", 2).status == REWARD_OK);
}

/* Each of two workers answers only when the other is being asked, too. */
static void test_side_by_side(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    char *folder = temp_folder();
    reward *r = python_reward("meet", folder, ", \"workers\": 2, \"timeout_seconds\": 60");
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_once, r), 0);
    for (int i = 0; i < 2; i++) {
        void *ok;
        pthread_join(threads[i], &ok);
        assert_non_null(ok);
    }
    reward_free(r);
    temp_folder_remove(folder);
}

/* --- bad ones --- */

/* Every question fails, and says why. */
static void test_all_fail(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    static const char quick[] = ", \"timeout_seconds\": 0.3";
    static const struct {
        const char *mode, *more, *says;
    } cases[] = {
        {"killed", "", "was ended by signal 9"},
        {"long_line", "", "a line of more than 65536 bytes"},
        {"endless_line", "", "a line of more than 65536 bytes"},
        {"close_stdout", "", "closed its standard output"},
        {"wrong_id", "", "answered with the id"},
        {"old_id", "", "answered with the id"},
        {"half_line", quick, "gave no answer within 0.3 s"},
        {"nap", quick, "gave no answer within 0.3 s"}, /* with "1000": sleeps for ever */
    };
    struct before before = look();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reward *r = python_reward(cases[i].mode, "1000", cases[i].more);
        for (int k = 0; k < 2; k++)
            must_fail(r, cases[i].says);
        reward_free(r);
        nothing_left(before);
    }
}

static void test_shells_that_fail(void **state)
{
    (void)state;
    static const struct {
        const char *script, *says;
    } cases[] = {
        {"echo why not >&2; exit 3", "exit status 3; its standard error ends: why not"},
        {"exec no-such-program-here", "not found"},
        {"read q; echo hello; exec sleep 1000", "answered \"hello\", which is not JSON"},
        {"read q; echo; exec sleep 1000", "which is not JSON"},
        {"read q; echo 3; exec sleep 1000", "which is no object"},
        {"read q; echo '{\"score\": 1}'; exec sleep 1000", "without the request's \"id\""},
        {"read q; printf 'a\\nb\\n'; exec sleep 1000", "more than one line"},
        {"kill -SEGV $$", "was ended by signal 11"},
        {"printf 'a\\033[31m\\377b' >&2; exit 1", "ends: a\\u001b[31m\\xffb"},
    };
    struct before before = look();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reward *r = shell_reward(cases[i].script, "{\"timeout_seconds\": 0.2}");
        must_fail(r, cases[i].says);
        reward_free(r);
        nothing_left(before);
    }
}

/* What breaks now and then costs time and no score: the counts are right. */
static void test_restarts(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    static const struct {
        const char *mode, *more;
        int questions;
    } cases[] = {
        {"crash_each_third", "", 20},
        {"one_each", "", 6},
        {"leak", ", \"memory_mib\": 256", 40},
        {"long_stderr", "", 3},
    };
    struct before before = look();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reward *r = python_reward(cases[i].mode, "", cases[i].more);
        for (int k = 0; k < cases[i].questions; k++) {
            struct reward_result out = evaluate(r, "", "abcdefghi", (size_t)(k % 9));
            if (out.status != REWARD_OK)
                fail_msg("%s, question %d: %s", cases[i].mode, k, out.reason);
            assert_true(out.score == k % 9);
        }
        reward_free(r);
        nothing_left(before);
    }
}

/* The limit is real: what the leak took is counted by its process numbers. */
static void test_memory_limit(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    reward *r = make_reward("command", "{\"command\": [\"/usr/bin/python3\", \"-c\", "
                                       "\"import sys; sys.stdin.readline(); bytearray(1 << 30)\"], "
                                       "\"memory_mib\": 300}");
    must_fail(r, "MemoryError");
    reward_free(r);
}

/* An answer that comes too late, or a second one, is never the next question's. */
static void test_stale_answers(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    struct before before = look();
    reward *r = python_reward("late", "2", ", \"timeout_seconds\": 1.5");
    struct reward_result out = evaluate(r, "", "long", 4);
    assert_int_equal(out.status, REWARD_FAILED);
    assert_true(score_of(r, "", "ab") == 2);
    assert_true(score_of(r, "", "a") == 1);
    reward_free(r);
    r = python_reward("twice", "", "");
    for (int i = 1; i < 8; i++) {
        assert_true(evaluate(r, "", "abcdefghi", (size_t)i).score == i);
        nanosleep(&(struct timespec){0, i % 2 ? 50000000 : 0}, NULL); /* the second one is there */
    }
    reward_free(r);
    nothing_left(before);
}

/* The request does not fit the pipe, and nobody reads it: SIGPIPE would end this program. */
static void test_input_closed(void **state)
{
    (void)state;
    struct before before = look();
    size_t n = 3000000;
    char *text = malloc(n);
    memset(text, 'a', n);
    reward *r = shell_reward("exec <&-; exec sleep 1000", "{}");
    struct reward_result out = evaluate(r, "", text, n);
    assert_int_equal(out.status, REWARD_FAILED);
    assert_non_null(strstr(out.reason, "closed its standard input"));
    reward_free(r);
    free(text);
    nothing_left(before);
}

static bool is_running(pid_t pid)
{
    char path[64], name[64], kind = 'Z';
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*d %63s %c", name, &kind) != 2)
        kind = 'Z';
    if (file)
        fclose(file);
    return kind != 'Z';
}

/* The leader ends, its child holds the pipes: noticed by other means, and the child is ended. */
static void test_grandchildren(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    struct before before = look();
    char *folder = temp_folder();
    const char *path = in_folder(folder, "pid");
    double started = clock_seconds();
    reward *r = python_reward("grandchild", path, ", \"timeout_seconds\": 500");
    must_fail(r, "ended with exit status 7");
    assert_true(clock_seconds() - started < 250);
    struct str text = read_bytes(path);
    pid_t pid = (pid_t)strtol(str_text(&text), NULL, 10);
    assert_true(pid > 1);
    for (int i = 0; is_running(pid) && i < 1000; i++) /* SIGKILL needs a moment to be delivered */
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    assert_false(is_running(pid));
    str_free(&text);
    reward_free(r);
    temp_folder_remove(folder);
    nothing_left(before);
}

/* All of standard error goes to the file. */
static void test_stderr_file(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    char *folder = temp_folder(), more[300];
    const char *path = in_folder(folder, "log");
    struct stat s;
    snprintf(more, sizeof more, ", \"stderr\": \"%s\"", path);
    reward *r = python_reward("long_stderr", "", more);
    assert_true(score_of(r, "", "abc") == 3);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_size, 1700000 * 6);
    reward_free(r);
    temp_folder_remove(folder);
}

/* One that cannot work is not started without end; one that can again is found again. */
static void test_giving_up(void **state)
{
    (void)state;
    struct before before = look();
    char *folder = temp_folder(), script[600];
    const char *starts = in_folder(folder, "starts"), *good = in_folder(folder, "good");
    snprintf(script, sizeof script,
             "echo x >> %s; [ -e %s ] || exit 1; read q; id=${q#*\\\"id\\\": }; id=${id%%%%,*}; "
             "echo \"{\\\"id\\\": $id, \\\"score\\\": 1}\"; read q",
             starts, good);
    reward *r = shell_reward(script, "{}");
    double started = clock_seconds();
    for (int i = 0; i < 200; i++)
        must_fail(r, "exit status 1");
    must_fail(r, "times in a row and is not asked");
    int most = 6 + (int)((clock_seconds() - started) / 5) + 1;
    assert_true(count_lines(starts) >= 6 && count_lines(starts) <= most);
    write_text(good, "");
    struct reward_result out = {.status = REWARD_FAILED};
    for (started = clock_seconds(); out.status != REWARD_OK && clock_seconds() - started < 60;) {
        out = evaluate(r, "", "", 0);
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    assert_int_equal(out.status, REWARD_OK);
    reward_free(r);
    temp_folder_remove(folder);
    nothing_left(before);
}

static void *interrupt_soon(void *unused)
{
    nanosleep(&(struct timespec){0, 200000000}, NULL);
    kill(getpid(), SIGINT);
    return unused;
}

/* Ctrl-C does not wait for a worker that hangs. (In a process of its own: the flag stays set.) */
static void test_interrupted(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pthread_t thread;
        interrupt_catch();
        reward *r = shell_reward("exec sleep 1000", "{\"timeout_seconds\": 900}");
        double started = clock_seconds();
        pthread_create(&thread, NULL, interrupt_soon, NULL);
        struct reward_result out = evaluate(r, "", "a", 1);
        pthread_join(thread, NULL);
        reward_free(r);
        bool good = out.status == REWARD_FAILED && strstr(out.reason, "interrupted") &&
                    clock_seconds() - started < 300;
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* --- parameters --- */

static void test_bad_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *params, *says;
    } cases[] = {
        {"null", "command is missing"},
        {"{\"command\": []}", "command is empty"},
        {"{\"command\": [\"\"]}", "command is empty"},
        {"{\"command\": \"python3 r.py\"}", "command is a string; expected a list of texts"},
        {"{\"command\": [\"sh\", 3]}", "command holds an integer"},
        {"{\"command\": [\"sh\\u0000x\"]}", "NUL"},
        {"{\"command\": [\"no-such-program-here\"]}", "no such program is in PATH"},
        {"{\"command\": [\"./no/such\"]}", "there is no such program"},
        {"{\"command\": [\"sh\"], \"comand\": 1}", "did you mean \"command\""},
        {"{\"command\": [\"sh\"], \"workers\": 0}", "workers is 0; expected 1 to 64"},
        {"{\"command\": [\"sh\"], \"workers\": 65}", "expected 1 to 64"},
        {"{\"command\": [\"sh\"], \"workers\": 1.5}", "\"workers\" is a number"},
        {"{\"command\": [\"sh\"], \"timeout_seconds\": 0}", "timeout_seconds is 0"},
        {"{\"command\": [\"sh\"], \"timeout_seconds\": -1}", "timeout_seconds is -1"},
        {"{\"command\": [\"sh\"], \"memory_mib\": -1}", "memory_mib is -1"},
        {"{\"command\": [\"sh\"], \"deterministic\": 1}", "\"deterministic\" is an integer"},
        {"{\"command\": [\"sh\"], \"components\": {}}", "components is empty"},
        {"{\"command\": [\"sh\"], \"components\": [\"a\"]}", "components is a list"},
        {"{\"command\": [\"sh\"], \"components\": {\"a\": \"b\"}}", "weight of component \"a\""},
        {"{\"command\": [\"sh\"], \"components\": {\"\": 1}}", "1 to 60 bytes"},
        {"{\"command\": [\"sh\"], \"files\": [\"no/such/file\"]}", "no/such/file"},
        {"{\"command\": [\"sh\"], \"files\": \"a\"}", "files is a string"},
        {"{\"command\": [\"sh\"], \"stderr\": \"no/such/folder/log\"}", "cannot be opened"},
    };
    struct before before = look();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        json_t *params = json_loads(cases[i].params, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        reward *r = (reward *)1;
        int status = reward_create(&r, "command", params, &err);
        if (status != ERR_USAGE && status != ERR_INPUT)
            fail_msg("%s: status %d", cases[i].params, status);
        assert_null(r);
        if (!strstr(err.message, cases[i].says))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].params, err.message, cases[i].says);
        json_decref(params);
        nothing_left(before);
    }
}

static int keep_path(void *user, const char *path, struct err *err)
{
    (void)err;
    str_printf(user, "%s;", path);
    return 0;
}

static void test_manner_and_files(void **state)
{
    (void)state;
    struct str paths = {0};
    struct err err;
    reward *r =
        make_reward("command", "{\"command\": [\"sh\", \"" WORKER
                               "\", \"--data=tests/run\", \"-x\", \"tests\"], "
                               "\"components\": {\"b\": 0.25, \"a\": 0}, \"deterministic\": true, "
                               "\"group\": true, \"files\": [\"Makefile\"]}");
    struct reward_manner m = reward_manner(r);
    assert_int_equal(m.needs, REWARD_NEEDS_PROCESS | REWARD_NEEDS_GROUP);
    assert_true(m.repeatable && m.side_by_side == 1);
    assert_int_equal(reward_files(r, NULL, keep_path, &paths, &err), 0);
    assert_string_equal(str_text(&paths), WORKER ";tests/run;Makefile;");
    json_t *row = json_object();
    str_clear(&paths);
    assert_int_equal(reward_files(r, row, keep_path, &paths, &err), 0);
    assert_int_equal(paths.length, 0);
    json_decref(row);
    str_free(&paths);
    int n;
    const struct reward_component *list = reward_components(r, &n);
    assert_int_equal(n, 2);
    assert_string_equal(list[0].name, "b");
    assert_true(list[0].weight == 0.25 && list[1].weight == 0);
    reward_free(r);
    r = make_reward("command", "{\"command\": [\"sh\"]}");
    assert_false(reward_manner(r).repeatable);
    reward_free(r);
}

/* Each allocation of the first question fails once: the answer or `failed`, and nothing stays. */
static void test_no_memory(void **state)
{
    (void)state;
    struct before before = look();
    int failed = 0, answered = 0;
    for (int n = 0; n < 40; n++) {
        reward *r = shell_reward(SH_LOOP, "{}");
        mem_fail_after(n);
        struct reward_result out = evaluate(r, "p", "abc", 3);
        mem_fail_after(-1);
        if (out.status == REWARD_OK)
            assert_true(out.score == 0.5);
        else
            assert_non_null(strstr(out.reason, "memory"));
        failed += out.status == REWARD_FAILED;
        answered += out.status == REWARD_OK;
        reward_free(r);
        nothing_left(before);
    }
    assert_true(failed > 0 && answered > 0);
    static const char text[] = "{\"command\": [\"sh\", \"-c\", \"a\"], \"components\": {\"a\": 1}}";
    json_t *params = json_loads(text, 0, NULL);
    before = look();
    reward *r = NULL;
    for (int n = 0; !r; n++) {
        struct err err = {0};
        assert_true(n < 100);
        mem_fail_after(n);
        int status = reward_create(&r, "command", params, &err);
        mem_fail_after(-1);
        assert_int_equal(status, r ? ERR_NONE : ERR_MACHINE);
        if (!r)
            nothing_left(before);
    }
    reward_free(r);
    json_decref(params);
}

/* --- examples --- */

static void check_example(const char *interpreter, const char *script)
{
    char params[300];
    snprintf(params, sizeof params, "{\"command\": [\"%s\", \"examples/rewards/%s\"]}", interpreter,
             script);
    struct before before = look();
    reward *r = make_reward("command", params);
    double polite = score_of(r, "p", "Por favor, confira a sua oferta. Obrigado!");
    double shouting = score_of(r, "p", "COMPRE AGORA!!! \"OFERTA\"\n!!!");
    assert_true(polite > shouting && polite <= 1 && shouting >= 0);
    assert_int_equal(evaluate(r, "p", "", 0).status, REWARD_OK);
    reward_free(r);
    nothing_left(before);
}

static void test_example_shell(void **state)
{
    (void)state;
    check_example("sh", "shell/reward.sh");
}

static void test_example_python(void **state)
{
    (void)state;
    NEEDS_PYTHON();
    check_example(python, "python/reward.py");
}

static void test_example_node(void **state)
{
    (void)state;
    if (access("/usr/bin/node", X_OK) != 0) {
        print_message("/usr/bin/node is not here\n");
        skip();
    }
    check_example("/usr/bin/node", "node/reward.js");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shell),
        cmocka_unit_test(test_texts_arrive),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_all_fail),
        cmocka_unit_test(test_shells_that_fail),
        cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_stale_answers),
        cmocka_unit_test(test_input_closed),
        cmocka_unit_test(test_grandchildren),
        cmocka_unit_test(test_stderr_file),
        cmocka_unit_test(test_giving_up),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_bad_parameters),
        cmocka_unit_test(test_manner_and_files),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_example_shell),
        cmocka_unit_test(test_example_python),
        cmocka_unit_test(test_example_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
