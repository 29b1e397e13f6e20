/* test_audit.c: the pure parts of the reward audit: which rows are asked, sheets as spreadsheets
 * save them and what is wrong with others, the verdict and its figures, plots, and when an audit
 * that was done counts no more. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "../support/train_run.h"
#include "base/file.h"
#include "base/json.h"
#include "data/csv.h"
#include "eval/audit.h"
#include "eval/audit_files.h"

static struct err err;

/* --- selection --- */

static void rows_of(struct dataset *d, const char *folder, const char *name, const char *text)
{
    if (dataset_open(d, write_text(in_folder(folder, "%s", name), text), &err))
        fail_msg("%s: %s", err.where, err.message);
}

/* 30 rows a, 3 rows b; row a-k asks "pergunta k". */
static void many_rows(struct str *out)
{
    for (int i = 0; i < 33; i++)
        str_printf(out, "{\"id\": \"%s-%d\", \"task\": \"%s\", \"prompt\": \"pergunta %d\"}\n",
                   i < 30 ? "a" : "b", i, i < 30 ? "a" : "b", i);
}

static void test_selection(void **state)
{
    (void)state;
    char *folder = temp_folder();
    struct str text = {0};
    struct dataset train, eval, test;
    struct audit_selection s, again, other;
    many_rows(&text);
    rows_of(&train, folder, "train.jsonl", str_text(&text));
    /* All but four of task a are held out; by text, not by id, and case does not matter. */
    str_clear(&text);
    for (int i = 0; i < 13; i++)
        str_printf(&text, "{\"id\": \"e%d\", \"prompt\": \"  PERGUNTA  %d\"}\n", i, i);
    rows_of(&eval, folder, "eval.jsonl", str_text(&text));
    str_clear(&text);
    for (int i = 13; i < 26; i++)
        str_printf(&text, "{\"id\": \"t%d\", \"prompt\": \"pergunta %d\"}\n", i, i);
    rows_of(&test, folder, "test.jsonl", str_text(&text));
    const struct dataset *held_out[] = {&eval, &test};

    assert_int_equal(audit_select(&s, &train, NULL, 0, 5, 42, &err), 0);
    assert_int_equal(s.n, 8); /* 5 of a, the 3 there are of b */
    assert_int_equal(s.short_tasks, 1);
    for (size_t i = 0; i < s.n; i++)
        assert_string_equal(s.rows[i]->task, i < 5 ? "a" : "b");
    assert_int_equal(audit_select(&again, &train, NULL, 0, 5, 42, &err), 0);
    assert_memory_equal(s.rows, again.rows, s.n * sizeof *s.rows);
    assert_int_equal(audit_select(&other, &train, NULL, 0, 5, 43, &err), 0);
    assert_true(memcmp(s.rows, other.rows, s.n * sizeof *s.rows) != 0);
    audit_selection_free(&again);
    audit_selection_free(&other);
    audit_selection_free(&s);

    assert_int_equal(audit_select(&s, &train, held_out, 2, 5, 42, &err), 0);
    assert_int_equal(s.n, 7);
    assert_int_equal(s.short_tasks, 2);
    for (size_t i = 0; i < 4; i++)
        assert_true(s.rows[i] - train.rows >= 26);
    audit_selection_free(&s);

    const struct dataset *itself[] = {&train};
    assert_int_equal(audit_select(&s, &train, itself, 1, 5, 42, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "no row that may be audited"));
    dataset_close(&train);
    dataset_close(&eval);
    dataset_close(&test);
    str_free(&text);
    temp_folder_remove(folder);
}

/* One prompt under several ids is asked once. */
static void test_copies(void **state)
{
    (void)state;
    char *folder = temp_folder();
    struct dataset train;
    struct audit_selection s;
    rows_of(&train, folder, "train.jsonl",
            "{\"id\": \"1\", \"prompt\": \"o mesmo\"}\n{\"id\": \"2\", \"prompt\": \"O  mesmo\"}\n"
            "{\"id\": \"3\", \"prompt\": \"outro\"}\n");
    assert_int_equal(audit_select(&s, &train, NULL, 0, 5, 1, &err), 0);
    assert_int_equal(s.n, 2);
    audit_selection_free(&s);
    dataset_close(&train);
    temp_folder_remove(folder);
}

/* --- an audit to work on --- */

enum { ITEMS = 5 };

static void make(struct audit *a, struct audit_item items[ITEMS])
{
    static const char *const ids[] = {"x-1", "x-2", "=1+1", "ação;7", "say \"hi\""};
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct audit_item){.id = ids[i],
                                       .task = i < 3 ? "extraction" : "push",
                                       .prompt = "p",
                                       .reference = "{}",
                                       .completion = "c",
                                       .completion_length = 1,
                                       .stop_reason = "eos",
                                       .automatic = i / 10.0};
    *a = (struct audit){.items = items, .n = ITEMS};
}

static int read_sheet(struct audit *a, const char *text, bool complete)
{
    return audit_sheet_read(a, text, strlen(text), "s.csv", complete, &err);
}

static void refused(const char *text, bool complete, const char *where, const char *message)
{
    struct audit a;
    struct audit_item items[ITEMS];
    make(&a, items);
    items[0].mark = AUDIT_SCORED;
    items[0].human = 3;
    expect_error(read_sheet(&a, text, complete), ERR_INPUT, &err, where, message, NULL);
    assert_true(items[0].mark == AUDIT_SCORED && items[0].human == 3); /* as it was */
    assert_true(items[1].mark == AUDIT_OPEN);
}

/* --- scores --- */

static void test_parse_score(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},     {"10", 10},   {"7", 7}, {"7.5", 7.5},
                {"7,5", 7.5}, {"10,0", 10}, {"03", 3}};
    static const char *const bad[] = {"",      "-1",        "11",  "10.1", "7.",  ".5",
                                      "7,5,1", "1e1",       "nan", "0x5",  "7 5", "sete",
                                      "100",   "7.1234567", "+7",  "7%"};
    double value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(audit_parse_score(&value, good[i].text, strlen(good[i].text)));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (audit_parse_score(&value, bad[i], strlen(bad[i])))
            fail_msg("\"%s\" is %g", bad[i], value);
}

/* --- sheets --- */

static void test_sheet_round(void **state)
{
    (void)state;
    struct audit a, b;
    struct audit_item items[ITEMS], back[ITEMS];
    struct str text = {0};
    make(&a, items);
    make(&b, back);
    items[0].mark = items[2].mark = items[3].mark = AUDIT_SCORED;
    items[0].human = 7.5;
    items[2].human = 0;
    items[3].human = 10;
    items[1].mark = AUDIT_SKIPPED;
    audit_sheet_write(&text, &a);
    assert_memory_equal(text.data, "\xEF\xBB\xBFid,task,prompt,", 15);
    assert_int_equal(read_sheet(&b, str_text(&text), false), 0);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(back[i].mark, items[i].mark);
        assert_true(back[i].human == items[i].human);
    }
    str_free(&text);
}

/* Whatever a model says, no field, no line of it and nothing behind a semicolon begins a formula,
 * and no control character is left. */
static void test_sheet_formulas(void **state)
{
    (void)state;
    static const char evil[] =
        "=HYPERLINK(\"http://x\")\n+1\r\n-2+3\n  @SUM(A1);=cmd|' /C calc'!A0\n"
        "＝1\x1b[2J\x07 \xE2\x80\xAE"
        "ok; =x \"q\" a=b";
    struct audit a;
    struct audit_item items[ITEMS];
    struct str text = {0};
    struct csv csv;
    make(&a, items);
    a.n = 1;
    items[0].completion = evil;
    items[0].completion_length = sizeof evil - 1;
    items[0].prompt = "\t=1";
    audit_sheet_write(&text, &a);
    assert_int_equal(csv_open(&csv, str_text(&text), text.length, "s", &err), 0);
    assert_int_equal(csv_next(&csv, &err), 1);
    assert_string_equal(csv.fields[3].data,
                        "'=HYPERLINK(\"http://x\")\n'+1\n'-2+3\n  '@SUM(A1);'=cmd|' /C calc'!A0\n"
                        "'＝1\\u001b[2J\\u0007 \\u202eok; '=x \"q\" a=b");
    for (size_t f = 0; f < csv.n_columns; f++)
        assert_null(strpbrk(csv.fields[f].data, "\x1b\x07\r\t"));
    assert_int_equal(csv_next(&csv, &err), 0);
    csv_close(&csv);
    str_free(&text);
}

static void test_sheet_long(void **state)
{
    (void)state;
    struct audit a;
    struct audit_item items[ITEMS];
    struct str text = {0}, huge = {0};
    for (int i = 0; i < 40000; i++)
        str_puts(&huge, "é");
    make(&a, items);
    items[4].completion = str_text(&huge);
    items[4].completion_length = huge.length;
    audit_sheet_write(&text, &a);
    assert_true(text.length < 31000 && utf8_valid(text.data, text.length));
    assert_non_null(strstr(text.data, "…(cut)"));
    assert_int_equal(read_sheet(&a, str_text(&text), false), 0); /* check is of the whole text */
    str_free(&text);
    str_free(&huge);
}

/* What spreadsheets make of it: semicolons, decimal commas, CRLF, a mark, other orders of rows and
 * columns, empty rows, quotes gone where they may, Latin-1. */
static void test_sheet_quirks(void **state)
{
    (void)state;
    static const char *const sheets[] = {
        "\xEF\xBB\xBFid;human_score\r\nx-1;7,5\r\nx-2;skip\r\n'=1+1;0\r\n\"ação;7\";10\r\n"
        "\"say \"\"hi\"\"\";3\r\n",
        "sep=;\r\nhuman_score;id\r\n7,5;x-1\r\n SKIP ;x-2\r\n0;'=1+1\r\n10;\"ação;7\"\r\n;\r\n"
        "3;\"say \"\"hi\"\"\"",
        "id\thuman_score\nx-1\t7.5\nx-2\tskip\n'=1+1\t0\nação;7\t10\n\"say \"\"hi\"\"\"\t3\n\t\n",
        "id,note,human_score\r\"say \"\"hi\"\"\",,3.0\rx-2,,skip\r'=1+1,x,0\r\"ação;7\",,10\r,,\r"
        "x-1,,\"7,5\"\r",
        "id,human_score\nx-1,7.5\nx-2,skip\n'=1+1,0\na\xE7\xE3o;7,10\n\"say \"\"hi\"\"\",3\n",
    };
    for (size_t i = 0; i < sizeof sheets / sizeof *sheets; i++) {
        struct audit a;
        struct audit_item items[ITEMS];
        make(&a, items);
        if (read_sheet(&a, sheets[i], true))
            fail_msg("sheet %zu: %s: %s", i, err.where, err.message);
        assert_true(items[0].human == 7.5 && items[2].human == 0 && items[3].human == 10 &&
                    items[4].human == 3);
        assert_int_equal(items[1].mark, AUDIT_SKIPPED);
    }
}

#define REST "'=1+1,1\n\"ação;7\",1\n\"say \"\"hi\"\"\",1\n"
static void test_sheet_refused(void **state)
{
    (void)state;
    refused("id,human_score\nx-1,1\nx-2,\n" REST, true, "s.csv, row 2", "no score for \"x-2\"");
    refused("id,human_score\nx-1,1\n" REST, true, "s.csv", "has no row for \"x-2\"");
    refused("id,human_score\nx-1,1\n" REST, false, "s.csv", "has no row for \"x-2\"");
    refused("id,human_score\nx-1,1\nx-2,1\nx-1,1\n" REST, true, "s.csv, row 3", "in row 1 already");
    refused("id,human_score\nx-1,1\nx-2,10.5\n" REST, true,
            "s.csv, row 2 (line 3), column human_score",
            "\"10.5\", expected a number from 0 to 10");
    refused("id,human_score\nx-1,1\nx-2,-1\n" REST, true, "s.csv, row 2", "\"-1\"");
    refused("id,human_score\nx-1,bom\nx-2,1\n" REST, true, "s.csv, row 1", "\"bom\"");
    refused("id,human_score\nx-1,1\nx-9,1\n" REST, true, "s.csv, row 2",
            "\"x-9\", which is no completion of this audit");
    refused("id,human_score,check\nx-1,1,c00000000\nx-2,1,\n", true, "s.csv, row 1",
            "scored for another completion");
    refused("id,score\nx-1,1\n", true, "s.csv", "no column \"human_score\"");
    refused("", true, "s.csv", "is empty");
    refused("id,human_score\nx-1,\"1\n", true, "s.csv, row 1", "never closed");
}

/* --- completions.jsonl --- */

static void test_completions(void **state)
{
    (void)state;
    char *folder = temp_folder();
    struct audit a, back = {0};
    struct audit_item items[ITEMS];
    struct str text = {0};
    make(&a, items);
    items[0].completion = "a\0b";
    items[0].completion_length = 3;
    items[2].reference = ""; /* a row without */
    items[1].reference = "{\"valor\": 610.9, \"x\": null}";
    audit_completions_write(&text, &a);
    const char *path = write_text(in_folder(folder, "c.jsonl"), str_text(&text));
    assert_int_equal(audit_completions_read(&back, path, &err), 0);
    assert_int_equal(back.n, ITEMS);
    assert_int_equal(back.items[0].completion_length, 3);
    assert_memory_equal(back.items[0].completion, "a\0b", 3);
    assert_string_equal(back.items[1].reference, items[1].reference);
    assert_string_equal(back.items[2].reference, "");
    assert_string_equal(back.items[3].id, "ação;7");
    assert_true(back.items[4].mark == AUDIT_OPEN && isnan(back.items[4].automatic));
    audit_free(&back);
    write_text(path, "{\"id\": \"1\", \"task\": 5}\n");
    expect_error(audit_completions_read(&back, path, &err), ERR_INPUT, &err, "c.jsonl:1", "task",
                 NULL);
    audit_free(&back);
    str_free(&text);
    temp_folder_remove(folder);
}

/* --- verdict --- */

/* 20 pairs without ties, five a task: ρ is 1 − 6Σd²/(n³−n). */
static void twenty(struct audit *a, struct audit_item items[20])
{
    static const int order[20] = {3,  1,  5,  2,  9,  4,  8,  6,  11, 7,
                                  10, 16, 12, 15, 13, 20, 14, 18, 17, 19};
    static const char *const tasks[] = {"extraction", "sql_qa", "insights", "push"};
    for (int i = 0; i < 20; i++)
        items[i] = (struct audit_item){.id = "i",
                                       .task = tasks[i / 5],
                                       .completion = "",
                                       .mark = AUDIT_SCORED,
                                       .human = (i + 1) / 2.0,
                                       .automatic = order[i] / 20.0};
    *a = (struct audit){.items = items, .n = 20};
}

static double squares(const struct audit_item *items)
{
    double sum = 0;
    for (int i = 0; i < 20; i++) {
        double d = (i + 1) - 20 * items[i].automatic;
        sum += d * d;
    }
    return sum;
}

static void test_verdict(void **state)
{
    (void)state;
    struct audit a;
    struct audit_item items[20];
    struct audit_result r;
    struct audit_gate gate = {0.7, false}, low = {0.7, true};
    twenty(&a, items);
    double rho = 1 - 6 * squares(items) / (20.0 * 399);
    assert_int_equal(audit_judge(&r, &a, &gate, false, &err), 0);
    assert_true(fabs(r.correlation.rho - rho) < 1e-12 && rho > 0.7);
    assert_true(r.n == 20 && r.rows == 20 && r.n_tasks == 4 && r.tasks[2].n == 5);
    assert_string_equal(r.tasks[2].name, "insights");
    /* insights: 10 16 12 15 13 have ranks 1 5 2 4 3 against 1 … 5: Σd² = 0+9+1+0+4 = 14 */
    assert_true(fabs(r.tasks[2].correlation.rho - (1 - 6 * 14 / 120.0)) < 1e-12);
    assert_int_equal(r.verdict, AUDIT_PASS);
    assert_true(fabs(r.correlation.ci.low - tanh(atanh(rho) - 1.96 / sqrt(17))) < 1e-3);
    audit_result_free(&r);

    gate.min_rho = rho; /* above, not at */
    assert_int_equal(audit_judge(&r, &a, &gate, false, &err), 0);
    assert_int_equal(r.verdict, AUDIT_FAIL);
    audit_result_free(&r);
    low.min_rho = 0.9 * r.correlation.ci.low;
    assert_int_equal(audit_judge(&r, &a, &low, false, &err), 0);
    assert_int_equal(r.verdict, AUDIT_PASS);
    audit_result_free(&r);
    low.min_rho = 1.01 * r.correlation.ci.low;
    assert_int_equal(audit_judge(&r, &a, &low, false, &err), 0);
    assert_int_equal(r.verdict, AUDIT_FAIL);
    audit_result_free(&r);
}

static void test_left_out(void **state)
{
    (void)state;
    struct audit a;
    struct audit_item items[20];
    struct audit_result r;
    struct audit_gate gate = {-1, false};
    twenty(&a, items);
    items[0].mark = AUDIT_SKIPPED;
    items[1].automatic = NAN; /* the reward failed: no score, not 0 */
    assert_int_equal(audit_judge(&r, &a, &gate, false, &err), 0);
    assert_true(r.n == 18 && r.skipped == 1 && r.unscored == 1 && r.tasks[0].n == 3);
    assert_true(isnan(r.tasks[0].correlation.rho) && !isnan(r.tasks[1].correlation.rho));
    assert_int_equal(r.verdict, AUDIT_PASS);
    audit_result_free(&r);
    for (int i = 0; i < 11; i++)
        items[i].mark = AUDIT_SKIPPED;
    assert_int_equal(audit_judge(&r, &a, &gate, false, &err), 0);
    assert_int_equal(r.verdict, AUDIT_TOO_FEW);
    audit_result_free(&r);
    twenty(&a, items);
    for (int i = 0; i < 20; i++)
        items[i].human = 5;
    assert_int_equal(audit_judge(&r, &a, &gate, false, &err), 0);
    assert_int_equal(r.verdict, AUDIT_UNDEFINED);
    audit_result_free(&r);
}

/* Sums that differ in their last bit are ties. */
static void test_ties(void **state)
{
    (void)state;
    struct audit a;
    struct audit_item items[20];
    struct audit_result r, same;
    struct audit_gate gate = {0.7, false};
    twenty(&a, items);
    for (int i = 0; i < 20; i++)
        items[i].automatic = i % 2 ? 0.1 + 0.2 : 0.3;
    for (int i = 0; i < 10; i++)
        items[i].automatic = 0.2;
    assert_int_equal(audit_judge(&r, &a, &gate, false, &err), 0);
    for (int i = 10; i < 20; i++)
        items[i].automatic = 0.3;
    assert_int_equal(audit_judge(&same, &a, &gate, false, &err), 0);
    assert_true(r.correlation.rho == same.correlation.rho);
    audit_result_free(&r);
    audit_result_free(&same);
}

static void test_worth(void **state)
{
    (void)state;
    struct interval w = audit_worth(0.7, 20);
    assert_true(fabs(w.low - 0.37) < 0.005 && fabs(w.high - 0.87) < 0.005); /* as the SPEC has it */
    assert_true(isnan(audit_worth(0.7, 3).low));
}

static void test_words(void **state)
{
    (void)state;
    struct audit a;
    struct audit_item items[20];
    struct audit_result r;
    struct audit_gate gate = {0.7, false};
    struct str text = {0};
    twenty(&a, items);
    items[7].task = items[8].task = "<b>&\"";
    assert_int_equal(audit_judge(&r, &a, &gate, true, &err), 0);
    audit_say(&text, &r);
    assert_memory_equal(str_text(&text), "SIMULATED", 9);
    assert_non_null(strstr(str_text(&text), "between 0.37 and 0.87"));
    assert_non_null(strstr(str_text(&text), "gate: rho > 0.70 (SIMULATED scores): yes"));
    assert_non_null(strstr(str_text(&text), "too few")); /* the task of two */
    str_clear(&text);
    audit_plot_svg(&text, &a, &r);
    assert_non_null(strstr(str_text(&text), "SIMULATED"));
    assert_non_null(strstr(str_text(&text), "human score, 0 to 10"));
    assert_non_null(strstr(str_text(&text), "&#60;b&#62;&#38;&#34;"));
    assert_null(strstr(str_text(&text), "<b>"));
    str_clear(&text);
    r.simulated = false;
    audit_say(&text, &r);
    audit_plot_svg(&text, &a, &r);
    assert_null(strstr(str_text(&text), "SIMULATED"));
    str_clear(&text);
    audit_plot_text(&text, &a);
    int letters = 0;
    for (const char *p = str_text(&text); strstr(p, "\n  a "); p++) /* above the legend */
        letters += *p >= 'a' && *p <= 'e' && p[-1] == ' ';
    assert_true(letters >= 15);
    audit_result_free(&r);
    str_free(&text);
}

/* --- does it still count? --- */

struct checked {
    char *folder;
    struct audit a;
    struct audit_item items[20];
    struct audit_result r;
    struct audit_identity id;
    char completions[72];
};

static void write_audit(struct checked *c, bool simulated)
{
    struct audit_gate gate = {0.7, false};
    struct str text = {0};
    twenty(&c->a, c->items);
    assert_int_equal(audit_judge(&c->r, &c->a, &gate, simulated, &err), 0);
    audit_json(&text, &c->a, &c->r, &c->id, c->completions);
    write_text(in_folder(c->folder, "audit/audit.json"), str_text(&text));
    str_free(&text);
    audit_result_free(&c->r);
}

static void begin(struct checked *c)
{
    *c = (struct checked){.folder = temp_folder(),
                          .id = {.model_sha256 = "m", .prompts_sha256 = "p"}};
    str_puts(&c->id.reward_versions, "{\"versions\": {\"push\": 3}, \"rewards\": [\"push\"]}");
    shell("mkdir '%s/audit'", c->folder);
    write_text(in_folder(c->folder, "audit/completions.jsonl"), "{}\n");
    sha256_hex(c->completions, "{}\n", 3);
}

static struct audit_state check(const struct checked *c, const struct audit_gate *gate)
{
    struct audit_state s;
    if (audit_check(c->folder, &c->id, gate, &s, &err))
        fail_msg("%s: %s", err.where, err.message);
    return s;
}

static void stale(const struct checked *c, const char *why)
{
    struct audit_gate gate = {0.7, false};
    struct audit_state s = check(c, &gate);
    assert_int_equal(s.found, AUDIT_STALE);
    assert_false(s.passed);
    if (!strstr(s.why, why) || !strstr(s.why, "grpo audit"))
        fail_msg("\"%s\" is not in: %s", why, s.why);
}

static void test_check(void **state)
{
    (void)state;
    struct checked c;
    struct audit_gate gate = {0.7, false}, high = {0.99, false};
    begin(&c);
    struct audit_state s = check(&c, &gate);
    assert_true(s.found == AUDIT_ABSENT && !s.passed);
    write_audit(&c, true);
    s = check(&c, &gate);
    assert_true(s.found == AUDIT_CURRENT && s.passed && s.simulated && s.n == 20);
    assert_true(s.correlation.rho > 0.7 && s.correlation.ci.low > 0.5);
    assert_non_null(strstr(s.why, "simulated"));
    write_audit(&c, false);
    s = check(&c, &gate);
    assert_true(s.passed && !s.simulated && !strstr(s.why, "simulated"));
    s = check(&c, &high); /* the recipe's bound was raised since */
    assert_true(s.found == AUDIT_CURRENT && !s.passed && s.verdict == AUDIT_FAIL);

    strcpy(c.id.model_sha256, "n");
    stale(&c, "the model");
    strcpy(c.id.model_sha256, "m");
    strcpy(c.id.prompts_sha256, "q");
    stale(&c, "the prompts");
    strcpy(c.id.prompts_sha256, "p");
    str_clear(&c.id.reward_versions);
    str_puts(&c.id.reward_versions, "{\"versions\": {\"push\": 4}, \"rewards\": [\"push\"]}");
    stale(&c, "the rewards");
    str_clear(&c.id.reward_versions);
    str_puts(&c.id.reward_versions,
             "{\"versions\": {\"push\": 3}, \"rewards\": [{\"name\": \"push\", \"weight\": 2}]}");
    stale(&c, "the rewards");
    str_clear(&c.id.reward_versions);
    str_puts(&c.id.reward_versions, "{\"rewards\": [\"push\"], \"versions\": {\"push\": 3}}");
    assert_true(check(&c, &gate).passed); /* order of keys is nothing */
    write_text(in_folder(c.folder, "audit/completions.jsonl"), "{} \n");
    stale(&c, "completions.jsonl");
    shell("rm '%s/audit/completions.jsonl'", c.folder);
    stale(&c, "completions.jsonl (gone)");
    audit_identity_free(&c.id);
    temp_folder_remove(c.folder);
}

static void test_check_damaged(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "",
        "[]",
        "{}",
        "{\"rho\": 1}",
        "{\"n\": 20, \"completions\": 20, \"simulated\": 1}",
        "{\"rho\": 7, \"p\": 0, \"n\": 20, \"completions\": 20, \"simulated\": false, \"ci95\": "
        "[0, 1]}",
        "{\"rho\": 0.9, \"p\": 0, \"n\": 21, \"completions\": 20, \"simulated\": false, \"ci95\": "
        "[0, 1]}",
        "{\"rho\": 0.9, \"p\": 0, \"n\": 20, \"completions\": 20, \"simulated\": false, \"ci95\": "
        "[0, 1]}",
    };
    struct checked c;
    struct audit_gate gate = {0.7, false};
    struct audit_state s;
    begin(&c);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        write_text(in_folder(c.folder, "audit/audit.json"), damaged[i]);
        expect_error(audit_check(c.folder, &c.id, &gate, &s, &err), ERR_INPUT, &err, "audit.json",
                     NULL);
        assert_false(s.passed);
    }
    audit_identity_free(&c.id);
    temp_folder_remove(c.folder);
}

/* --- without memory --- */

static int everything(const char *folder, bool *done, struct err *said)
{
    struct audit a = {0};
    struct audit_result r = {0};
    struct audit_selection s = {0};
    struct dataset train = {0};
    struct str text = {0};
    struct err local = {0};
    struct audit_gate gate = {0.7, false};
    int status = dataset_open(&train, in_folder(folder, "train.jsonl"), &local);
    if (!status)
        status = audit_select(&s, &train, NULL, 0, 3, 1, &local);
    if (!status)
        status = audit_completions_read(&a, in_folder(folder, "c.jsonl"), &local);
    for (size_t i = 0; i < a.n; i++)
        a.items[i].automatic = 0.1 * (double)i;
    if (!status) {
        audit_sheet_write(&text, &a);
        status = text.failed ? ERR_MACHINE : ERR_NONE;
    }
    if (!status)
        status = audit_sheet_read(&a, str_text(&text), text.length, "s.csv", false, &local);
    if (!status)
        status = audit_judge(&r, &a, &gate, false, &local);
    str_clear(&text);
    if (!status) {
        audit_completions_write(&text, &a);
        audit_plot_svg(&text, &a, &r);
        audit_plot_text(&text, &a);
        audit_say(&text, &r);
        status = text.failed ? ERR_MACHINE : ERR_NONE;
    }
    *done = !status;
    *said = local;
    audit_result_free(&r);
    audit_selection_free(&s);
    if (train.rows)
        dataset_close(&train);
    audit_free(&a);
    str_free(&text);
    return status;
}

static void test_no_memory(void **state)
{
    (void)state;
    char *folder = temp_folder();
    struct audit a;
    struct audit_item items[ITEMS];
    struct str text = {0};
    bool done = false;
    struct err said = {0};
    make(&a, items);
    audit_completions_write(&text, &a);
    write_text(in_folder(folder, "c.jsonl"), str_text(&text));
    str_clear(&text);
    many_rows(&text);
    write_text(in_folder(folder, "train.jsonl"), str_text(&text));
    str_free(&text);
    size_t blocks = mem_stats().live_blocks;
    int tries = 0;
    for (; !done; tries++) {
        size_t failed = mem_stats().failed_calls;
        mem_fail_after(tries);
        int status = everything(folder, &done, &said);
        mem_fail_after(-1);
        assert_int_equal(mem_stats().live_blocks, blocks);
        if (mem_stats().failed_calls != failed && status != ERR_MACHINE)
            fail_msg("allocation %d: status %d: %s", tries, status, said.message);
    }
    assert_true(tries > 50);
    temp_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection),      cmocka_unit_test(test_copies),
        cmocka_unit_test(test_parse_score),    cmocka_unit_test(test_sheet_round),
        cmocka_unit_test(test_sheet_formulas), cmocka_unit_test(test_sheet_long),
        cmocka_unit_test(test_sheet_quirks),   cmocka_unit_test(test_sheet_refused),
        cmocka_unit_test(test_completions),    cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_left_out),       cmocka_unit_test(test_ties),
        cmocka_unit_test(test_worth),          cmocka_unit_test(test_words),
        cmocka_unit_test(test_check),          cmocka_unit_test(test_check_damaged),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
