/* test_classify.c: the recipe's rules: what they match, in which order, every refusal, hostile
 * texts and patterns in linear time, and memory that runs out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "data/classify.h"

static struct err err;

static int read_rules(classifier **c, const char *text)
{
    struct yaml_node root = {0};
    memset(&err, 0, sizeof err);
    int status = yaml_parse(&root, text, strlen(text), "rules", &err);
    if (!status) {
        status = classifier_read(c, &root, "recipe.yaml:7: classifier", &err);
        yaml_free(&root);
    }
    return status;
}

static classifier *rules(const char *text)
{
    classifier *c = NULL;
    if (read_rules(&c, text))
        fail_msg("%s: %s", err.where, err.message);
    return c;
}

/* The task of a text ("" for none), by rules that are gone afterwards. */
static const char *task_of(const char *text_of_rules, const char *text)
{
    static char found[80];
    classifier *c = rules(text_of_rules);
    const char *task = NULL;
    assert_int_equal(classifier_task(c, &task, text, strlen(text), &err), 0);
    snprintf(found, sizeof found, "%s", task ? task : "");
    classifier_free(c);
    return found;
}

static void test_words(void **state)
{
    (void)state;
    static const char push[] = "[{task: push, any: [push, 'Notificação', 'frete   GRÁTIS!']}]";
    assert_string_equal(task_of(push, "Crie um PUSH curto"), "push");
    assert_string_equal(task_of(push, "escreva: notificacao."), "push");
    assert_string_equal(task_of(push, "notificac\xCC\xA7\x61\xCC\x83o"), "push"); /* NFD */
    assert_string_equal(task_of(push, "com frete, grátis"), "push");
    assert_string_equal(task_of(push, "frete\n\tgratis"), "push");
    assert_string_equal(task_of(push, "\xEF\xBD\x90\xEF\xBD\x95\xEF\xBD\x93\xEF\xBD\x88"), "push");
    assert_string_equal(task_of(push, "pu\xC2\xADsh"), "push"); /* soft hyphen */
    assert_string_equal(task_of(push, "push"), "push");
    /* whole words, and phrases as they stand */
    assert_string_equal(task_of(push, "pushed pushes notificações"), "");
    assert_string_equal(task_of(push, "grátis o frete"), "");
    assert_string_equal(task_of(push, "frete é grátis"), "");
    assert_string_equal(task_of(push, "pu\xFFsh"), "");
    assert_string_equal(task_of(push, ""), "");
    assert_string_equal(task_of("[{task: a, any: x}]", "x"), "a"); /* one word is a list */
    static const char both[] = "[{task: sql, all: [tabela, consulta], any: [a, b]}]";
    assert_string_equal(task_of(both, "consulta b tabela"), "sql");
    assert_string_equal(task_of(both, "consulta tabela"), "");
    assert_string_equal(task_of(both, "a b consulta"), "");
}

static void test_regex(void **state)
{
    (void)state;
    static const char regex[] = "[{task: sql, regex: '(?i)\\bselect\\b.+\\bfrom\\b'}]";
    assert_string_equal(task_of(regex, "x Select a FROM b"), "sql");
    assert_string_equal(task_of(regex, "selected from"), "");
    assert_string_equal(task_of("[{task: t, regex: '^\\w+$'}]", "ação"), "t"); /* Unicode's \w */
    assert_string_equal(task_of("[{task: t, regex: 'a.b'}]", "a\xC3\xA7"
                                                             "b"),
                        "t");
    static const char and[] = "[{task: t, regex: '\\d', any: [nota]}]";
    assert_string_equal(task_of(and, "nota 5"), "t");
    assert_string_equal(task_of(and, "nota cinco"), "");
    assert_string_equal(task_of(and, "5"), "");
}

static void test_order(void **state)
{
    (void)state;
    static const char list[] = "[{task: first, any: [a]}, {task: second, any: [a, b]}, "
                               "{default: other}]";
    assert_string_equal(task_of(list, "b a"), "first");
    assert_string_equal(task_of(list, "b"), "second");
    assert_string_equal(task_of(list, "c"), "other");
    assert_string_equal(task_of("[{default: other}]", "c"), "other");
}

static void refused(const char *text, const char *part)
{
    classifier *c = NULL;
    size_t blocks = mem_stats().live_blocks;
    assert_int_equal(read_rules(&c, text), ERR_USAGE);
    assert_null(c);
    assert_string_equal(err.where, "recipe.yaml:7: classifier");
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    assert_int_equal(mem_stats().live_blocks, blocks);
}

static void test_refused(void **state)
{
    (void)state;
    refused("{task: a}", "is no list of 1 to 64 rules");
    refused("[]", "is no list");
    refused("[push]", "rule 1 (line 1) is text");
    refused("[{task: a, any: [b]},\n {tsk: a}]", "rule 2 (line 2) has \"tsk\"; known: task");
    refused("[{any: [b]}]", "has no \"task\"");
    refused("[{task: '', any: [b]}]", "the name of a task");
    refused("[{task: a}]", "has no condition");
    refused("[{task: a, any: []}]", "1 to 256 words");
    refused("[{task: a, any: [[b]]}]", "has a list where a word");
    refused("[{task: a, any: ['!?']}]", "has \"!?\", which has no letter");
    refused("[{task: a, regex: '('}]", "a regex that is none, at character 1");
    refused("[{task: a, regex: ''}]", "wants under \"regex\" a pattern");
    refused("[{default: a}, {task: b, any: c}]", "stands alone in the last rule");
    refused("[{default: a, task: b, any: c}]", "stands alone in the last rule");
    refused("[{default: }]", "the name of a task");
    struct str many = {0};
    str_putc(&many, '[');
    for (int i = 0; i < 65; i++)
        str_puts(&many, "{task: a, any: b},");
    str_putc(&many, ']');
    refused(str_text(&many), "is no list of 1 to 64 rules");
    str_free(&many);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A pattern that needs more than its share is an error, soon, and nothing that needs less is. */
static void test_hostile(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    static const struct {
        const char *rules, *unit;
        int status;
    } cases[] = {
        {"[{task: t, regex: '(a+)+$'}]", "aaaaaaaaaaaaaaab", ERR_INPUT},
        {"[{task: t, regex: 'a.*[bc]'}]", "a", ERR_INPUT},
        {"[{task: t, regex: 'a[^b]*+b'}]", "ab a", ERR_NONE},
        {"[{task: t, regex: '[^b]*+c'}]", "a", ERR_NONE}, /* no c: known before it begins */
        {"[{task: t, regex: '(?:x[^b]*+[cd])'}]", "x", ERR_INPUT},
        {"[{task: t, regex: '((?:a|a)*)\\1z'}]", "a", ERR_NONE},
        {"[{task: t, regex: '(?:a(?R)?|b)c'}]", "a", ERR_NONE},
        {"[{task: t, regex: 'sim|nunca'}]", "texto longo ", ERR_NONE},
        {"[{task: t, any: [aaaaaaaaaaaaaaaaaaaaaab, b]}]", "aaaaaaaaaaa", ERR_NONE},
        {"[{task: t, any: ['a a a a a a a b']}]", "a ", ERR_NONE},
        {"[{task: t, any: [b]}]", "\xFF", ERR_NONE},
        {"[{task: t, any: [b]}]", "\xEF\xB7\xBA", ERR_NONE}, /* one becomes 18 */
        {"[{task: t, any: [b]}]", "a\xCC\x81\xCC\x81\xCC\x81", ERR_NONE},
    };
    char *text = mem_alloc(SIZE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t unit = strlen(cases[i].unit);
        for (size_t k = 0; k < SIZE; k++)
            text[k] = cases[i].unit[k % unit];
        classifier *c = rules(cases[i].rules);
        const char *task;
        double start = seconds();
        int status = classifier_task(c, &task, text, SIZE / unit * unit, &err);
        double took = seconds() - start;
        if (status != cases[i].status)
            fail_msg("case %zu: %d, %s", i, status, err.message);
        if (status)
            assert_non_null(strstr(err.message, "takes too many steps"));
#if !SANITIZED
        if (took > 1) /* a tenth on a quiet machine; what is quadratic takes minutes */
            fail_msg("case %zu took %.2f s", i, took);
#else
        (void)took;
#endif
        classifier_free(c);
    }
    mem_free(text);
}

/* --- datasets --- */

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

static struct dataset opened(const char *text)
{
    struct dataset d;
    char path[600];
    snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
    if (dataset_open(&d, path, &err) != 0)
        fail_msg("%s: %s", err.where, err.message);
    return d;
}

static const char rows[] =
    "{\"id\": \"a\", \"task\": \"own\", \"prompt\": \"push\"}\n"
    "{\"id\": \"b\", \"prompt\": [{\"role\": \"system\", \"content\": \"sql\"}, {\"role\": "
    "\"user\", \"content\": \"um\"}, {\"role\": \"assistant\", \"content\": \"sql\"}, {\"role\": "
    "\"user\", \"content\": \"push\"}]}\n"
    "{\"id\": \"c\", \"prompt\": \"\\u0000 sql\"}\n\n"
    "{\"id\": \"d\", \"prompt\": \"nada\"}\n";

static void test_dataset(void **state)
{
    (void)state;
    classifier *c = rules("[{task: sql, any: [sql]}, {task: push, any: [push]}]");
    struct dataset d = opened(rows);
    size_t unmatched = 9;
    assert_int_equal(dataset_classify(&d, NULL, &unmatched, &err), 0);
    assert_int_equal(unmatched, 0);
    assert_int_equal(dataset_classify(&d, c, &unmatched, &err), 0);
    assert_int_equal(unmatched, 1);
    classifier_free(c);
    assert_string_equal(d.rows[0].task, "own");  /* the row's own word counts */
    assert_string_equal(d.rows[1].task, "push"); /* user messages alone are looked at */
    assert_string_equal(d.rows[2].task, "sql");  /* a NUL ends nothing */
    assert_string_equal(d.rows[3].task, "");
    c = rules("[{task: sql, any: [sql]}]");
    assert_int_equal(dataset_classify(&d, c, NULL, &err), ERR_INPUT);
    assert_string_equal(err.where, d.path);
    assert_non_null(strstr(err.message, "1 of 4 rows: \"d\" (line 5)"));
    classifier_free(c);
    dataset_close(&d);
    c = rules("[{task: t, regex: '(a+)+$'}]");
    struct str text = {0};
    str_puts(&text, "{\"id\": \"ok\", \"prompt\": \"aa\"}\n{\"id\": \"bad\", \"prompt\": \"");
    for (int i = 0; i < 4000; i++)
        str_putc(&text, 'a');
    str_puts(&text, "b\"}\n");
    d = opened(str_text(&text));
    str_free(&text);
    assert_int_equal(dataset_classify(&d, c, &unmatched, &err), ERR_INPUT);
    assert_non_null(strstr(err.where, "line 2, row \"bad\""));
    classifier_free(c);
    dataset_close(&d);
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] = "[{task: push, any: [push, notificação], all: [um]}, "
                               "{task: sql, regex: '(a|b)+c'}, {default: x}]";
    struct dataset d = opened(rows);
    size_t blocks = mem_stats().live_blocks;
    int status = ERR_MACHINE, tries = 0;
    for (; status; tries++) {
        assert_true(tries < 2000);
        struct yaml_node root = {0};
        classifier *c = NULL;
        size_t unmatched;
        assert_int_equal(yaml_parse(&root, text, strlen(text), "rules", &err), 0);
        for (size_t i = 1; i < d.count; i++)
            d.rows[i].task = "";
        memset(&err, 0, sizeof err);
        mem_fail_after(tries);
        status = classifier_read(&c, &root, "classifier", &err);
        if (!status)
            status = dataset_classify(&d, c, &unmatched, &err);
        mem_fail_after(-1);
        if (status && status != ERR_MACHINE)
            fail_msg("%d at call %d: %s: %s", status, tries, err.where, err.message);
        classifier_free(c);
        yaml_free(&root);
    }
    assert_true(tries > 20);
    assert_string_equal(d.rows[1].task, "push");
    assert_string_equal(d.rows[3].task, "x");
    dataset_close(&d);
    assert_true(mem_stats().live_blocks <= blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),     cmocka_unit_test(test_regex),
        cmocka_unit_test(test_order),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_dataset),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
