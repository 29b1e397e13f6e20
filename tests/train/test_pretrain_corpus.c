/* test_pretrain_corpus.c: documents of each kind as ids, which of their predictions count, how
 * sequences are dealt (every prediction once an epoch, packed or not, from any start), and what
 * rows are refused. */
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "base/mem.h"
#include "train/pretrain_corpus.h"

#define FOLDER "tests/oracle/train/pretrain"

struct bench {
    struct hf_config config;
    struct text_codec codec;
    struct corpus_rules rules;
    char *folder, path[600];
};

static void ok(int status, const struct err *err)
{
    if (status)
        fail_msg("%s: %s", err->where, err->message);
}

static struct bench bench_open(void)
{
    struct bench b = {0};
    struct err err = {0};
    ok(hf_config_open(&b.config, FOLDER, NULL, 0, &err), &err);
    ok(text_codec_open(&b.codec, FOLDER, NULL, &b.config, &err), &err);
    b.rules = (struct corpus_rules){.folder = FOLDER, .vocab_size = b.config.vocab_size};
    b.folder = temp_folder();
    snprintf(b.path, sizeof b.path, "%s/data.jsonl", b.folder);
    return b;
}

static void bench_close(struct bench *b)
{
    text_codec_close(&b->codec);
    temp_folder_remove(b->folder);
}

static int read_lines(struct corpus *c, struct bench *b, const char *lines, struct err *err)
{
    write_text(b->path, lines);
    b->rules.codec = &b->codec;
    *err = (struct err){0};
    return corpus_open(c, b->path, &b->rules, err);
}

/* --- kinds of documents --- */

/* The text of document i from token `from` to its end. */
static void expect_text(struct bench *b, const struct corpus *c, size_t i, int from,
                        const char *want)
{
    struct str text = {0};
    struct err err = {0};
    const struct corpus_document *d = &c->documents[i];
    ok(tokenizer_decode(b->codec.tokenizer, &text, c->ids.data + d->start + from,
                        (size_t)(d->tokens - from), false, &err),
       &err);
    assert_string_equal(str_text(&text), want);
    str_free(&text);
}

#define USER_A "<|im_start|>user\na<|im_end|>\n"
#define KINDS                                                                                      \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "         \
    "\"content\": \"bê\"}]}\n\n"                                                                  \
    "{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}], \"completion\": \"bê\"}\r\n"        \
    "{\"prompt\": \"a\", \"completion\": \"bê\"}"

static void kinds(void **state)
{
    (void)state;
    struct bench b = bench_open();
    struct corpus c;
    struct err err;
    ok(read_lines(&c, &b, KINDS "\n{\"text\": \"Olá, mundo\"}\n{\"text\": \"x<|im_end|>\"}\n",
                  &err),
       &err);
    assert_int_equal(c.count, 5);
    for (size_t i = 0; i < 3; i++) {
        expect_text(&b, &c, i, 0, USER_A "<|im_start|>assistant\nbê<|im_end|>\n");
        assert_int_equal(c.documents[i].first_count, 1);
    }
    expect_text(&b, &c, 3, 0, "Olá, mundo<|im_end|>"); /* its end is added */
    expect_text(&b, &c, 4, 0, "x<|im_end|>");          /* was there */
    assert_int_equal(c.documents[1].line, 3);
    assert_int_equal(c.longest, c.documents[0].tokens - 1);
    assert_int_equal(c.shortest, 1);
    corpus_close(&c);
    b.rules.completion_only = true;
    ok(read_lines(&c, &b, KINDS, &err), &err);
    for (size_t i = 0; i < 3; i++) {
        const struct corpus_document *d = &c.documents[i];
        expect_text(&b, &c, i, d->first_count, "bê<|im_end|>\n");
        /* Pieces that end before, straddle and start behind the completion. */
        int prompt = d->first_count, rows = d->tokens - 1;
        struct corpus_piece all = {d, 0, rows}, before = {d, 0, prompt - 1},
                            straddling = {d, prompt - 2, 3}, behind = {d, prompt, 1};
        assert_int_equal(corpus_piece_counted(&all), d->tokens - prompt);
        assert_int_equal(corpus_piece_counted(&before), 0);
        assert_int_equal(corpus_piece_counted(&straddling), 2);
        assert_int_equal(corpus_piece_counted(&behind), 1);
    }
    corpus_close(&c);
    bench_close(&b);
}

/* Without a template a prompt is plain text. */
static void plain_text(void **state)
{
    (void)state;
    struct bench b = bench_open();
    struct corpus c;
    struct err err;
    chat_template_free(b.codec.chat);
    b.codec.chat = NULL;
    ok(read_lines(&c, &b, "{\"prompt\": \"dois\", \"completion\": \" e três\"}\n", &err), &err);
    expect_text(&b, &c, 0, 0, "dois e três<|im_end|>");
    corpus_close(&c);
    expect_error(read_lines(&c, &b, KINDS, &err), ERR_INPUT, &err, "data.jsonl:1", "chat template",
                 NULL);
    bench_close(&b);
}

static void cut_when_asked(void **state)
{
    (void)state;
    struct bench b = bench_open();
    struct corpus c;
    struct err err;
    b.rules.max_length = 5;
    const char *lines = "{\"text\": \"abc\"}\n{\"text\": \"abcdefghijk\"}\n";
    expect_error(read_lines(&c, &b, lines, &err), ERR_INPUT, &err, "data.jsonl:2",
                 "max_length is 5", NULL);
    b.rules.truncate = true;
    ok(read_lines(&c, &b, lines, &err), &err);
    assert_int_equal(c.documents[0].tokens, 4);
    assert_int_equal(c.documents[1].tokens, 5);
    assert_int_equal(c.truncated, 1);
    assert_int_equal(c.ids.count, 9);
    corpus_close(&c);
    b.rules.completion_only = true;
    expect_error(read_lines(&c, &b, KINDS, &err), ERR_INPUT, &err, "data.jsonl:1", "prompt of",
                 NULL);
    bench_close(&b);
}

static void refused_rows(void **state)
{
    (void)state;
    static const struct {
        const char *row, *found;
    } rows[] = {
        {"{\"texts\": \"a\"}", "none of"},
        {"{\"text\": \"a\", \"messages\": []}", "several of"},
        {"{\"text\": 3}", "is an integer"},
        {"{\"text\": \"\"}", "empty"},
        {"{\"messages\": []}", "an empty list"},
        {"{\"messages\": [{\"role\": \"user\"}]}", "message 1"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"tools\": [{}]}",
         "has \"tools\""},
        {"{\"prompt\": \"a\"}", "\"completion\" is missing"},
        {"{\"prompt\": \"a\", \"completion\": [\"b\"]}", "expected text"},
        {"{\"prompt\": 7, \"completion\": \"b\"}", "\"prompt\""},
        {"{\"text\": \"a\"", ""},
        {"[]", ""},
        {"{\"text\": \"\xff\"}", ""},
    };
    struct bench b = bench_open();
    struct corpus c;
    struct err err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char lines[300];
        size_t blocks = mem_stats().live_blocks;
        snprintf(lines, sizeof lines, "{\"text\": \"ok\"}\n%s\n", rows[i].row);
        expect_error(read_lines(&c, &b, lines, &err), ERR_INPUT, &err, "data.jsonl:2",
                     rows[i].found, NULL);
        assert_int_equal(mem_stats().live_blocks, blocks);
    }
    expect_error(read_lines(&c, &b, "\n\n", &err), ERR_INPUT, &err, "no documents", NULL);
    b.rules.completion_only = true;
    expect_error(read_lines(&c, &b, "{\"text\": \"a\"}", &err), ERR_INPUT, &err, "data.jsonl:1",
                 "completion_only_loss", NULL);
    expect_error(read_lines(&c, &b,
                            "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, "
                            "{\"role\": \"user\", \"content\": \"a\"}]}",
                            &err),
                 ERR_INPUT, &err, "does not end with the assistant's", NULL);
    b.rules.completion_only = false;
    b.rules.vocab_size = 10;
    expect_error(read_lines(&c, &b, "{\"text\": \"a\"}", &err), ERR_INPUT, &err, "vocab_size is 10",
                 NULL);
    b.codec.n_eos = 0;
    expect_error(read_lines(&c, &b, "{\"text\": \"a\"}", &err), ERR_INPUT, &err, "EOS", NULL);
    bench_close(&b);
}

/* A template whose turns end with no EOS teaches a model that never stops. */
static void endless_turns(void **state)
{
    (void)state;
    struct bench b = bench_open();
    struct corpus c;
    struct err err;
    b.codec.eos[0] = 0;
    b.codec.n_eos = 1;
    expect_error(read_lines(&c, &b, KINDS, &err), ERR_INPUT, &err, "never stop", NULL);
    bench_close(&b);
}

static void held_out_means_held_out(void **state)
{
    (void)state;
    struct bench b = bench_open();
    struct corpus train, eval, other;
    struct err err;
    ok(read_lines(&train, &b, "{\"text\": \"a\"}\n{\"text\": \"b c\"}\n", &err), &err);
    ok(read_lines(&eval, &b, "{\"text\": \"b\"}\n{\"text\": \"b c\"}\n", &err), &err);
    ok(read_lines(&other, &b, "{\"text\": \"b\"}\n{\"text\": \"c b\"}\n", &err), &err);
    expect_error(corpus_disjoint(&train, &eval, &err), ERR_GATE, &err, "line 2", NULL);
    ok(corpus_disjoint(&train, &other, &err), &err);
    corpus_close(&train);
    corpus_close(&eval);
    corpus_close(&other);
    bench_close(&b);
}

/* --- dealing --- */

static struct corpus letters(struct bench *b, int documents)
{
    struct str lines = {0};
    struct corpus c;
    struct err err;
    for (int i = 0; i < documents; i++)
        str_printf(&lines, "{\"text\": \"%.*s\"}\n", 1 + i * 5 % 11, "zyxwvutsrqp");
    ok(read_lines(&c, b, str_text(&lines), &err), &err);
    str_free(&lines);
    return c;
}

/* Each row of the corpus is dealt once in every epoch; when packing, each sequence has `length`. */
static void deal_epochs(const struct corpus *c, int length, int epochs)
{
    struct corpus_dealer d, jumper;
    struct err err = {0};
    ok(corpus_dealer_create(&d, c, length, 3, &err), &err);
    ok(corpus_dealer_create(&jumper, c, length, 3, &err), &err);
    int *times = test_calloc(c->ids.count, sizeof *times), most = corpus_dealer_pieces(&d);
    struct corpus_piece *pieces = test_calloc((size_t)most, sizeof *pieces),
                        *same = test_calloc((size_t)most, sizeof *same);
    size_t dealt = 0, wanted = c->rows * (size_t)epochs;
    for (uint64_t s = 0; dealt < wanted; s++) {
        int n = corpus_deal(&d, s, pieces), rows = 0;
        if (s % 5 == 3) { /* as after a resume */
            assert_int_equal(corpus_deal(&jumper, s, same), n);
            for (int i = 0; i < n; i++)
                assert_true(same[i].document == pieces[i].document &&
                            same[i].from == pieces[i].from && same[i].rows == pieces[i].rows);
        }
        for (int i = 0; i < n; i++) {
            assert_true(pieces[i].from >= 0 && pieces[i].rows > 0);
            assert_true(pieces[i].from + pieces[i].rows < pieces[i].document->tokens);
            for (int r = 0; r < pieces[i].rows && dealt < wanted; r++, dealt++) {
                int *seen = &times[pieces[i].document->start + (size_t)(pieces[i].from + r)];
                assert_int_equal(*seen, dealt / c->rows);
                ++*seen;
            }
            rows += pieces[i].rows;
        }
        if (length)
            assert_int_equal(rows, length);
        assert_true(rows <= corpus_dealer_rows(&d));
    }
    test_free(times);
    test_free(pieces);
    test_free(same);
    corpus_dealer_free(&d);
    corpus_dealer_free(&jumper);
}

static void every_prediction_once_an_epoch(void **state)
{
    (void)state;
    struct bench b = bench_open();
    struct corpus c = letters(&b, 23);
    static const int lengths[] = {0, 1, 2, 7, 8, 64, 1000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        deal_epochs(&c, lengths[i], 4);
    corpus_close(&c);
    c = letters(&b, 1);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        deal_epochs(&c, lengths[i], 5);
    corpus_close(&c);
    bench_close(&b);
}

static void epochs_are_shuffled(void **state)
{
    (void)state;
    struct bench b = bench_open();
    struct corpus c = letters(&b, 23);
    struct corpus_dealer d;
    struct err err = {0};
    int moved = 0, in_place = 0;
    ok(corpus_dealer_create(&d, &c, 0, 3, &err), &err);
    const struct corpus_document *first[23];
    for (uint64_t s = 0; s < 46; s++) {
        struct corpus_piece p;
        assert_int_equal(corpus_deal(&d, s, &p), 1);
        if (s < 23)
            first[s] = p.document;
        else
            moved += first[s - 23] != p.document;
        in_place += s < 23 && p.document == &c.documents[s];
    }
    assert_true(moved > 15 && in_place < 8);
    assert_true(corpus_dealer_epochs(&d, 46) == 2);
    corpus_dealer_free(&d);
    corpus_close(&c);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(plain_text),
        cmocka_unit_test(cut_when_asked),
        cmocka_unit_test(refused_rows),
        cmocka_unit_test(endless_turns),
        cmocka_unit_test(held_out_means_held_out),
        cmocka_unit_test(every_prediction_once_an_epoch),
        cmocka_unit_test(epochs_are_shuffled),
    };
    return cmocka_run_group_tests_name("pretrain corpus", tests, NULL, NULL);
}
