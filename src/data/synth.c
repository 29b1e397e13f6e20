/* synth.c: `grpo data synth` from its options to its files.
 *
 * A task's maker (synth_review.c, synth_sql.c, synth_insights.c, synth_push.c) draws candidates;
 * this file decides which of them become rows of which set. Candidate number n of a task and set
 * draws from a stream of its own, so a row does not depend on how many rows stand before it, except
 * through what they have claimed:
 *
 *   A candidate has a prompt and a key, its content without the accidents of wording. The key's
 *   hash says whether it may be a row at all or is for the corpus (half each, so that neither can
 *   starve the other); then the first set that draws a key owns it, and no other set may use it.
 *   A set's own keys come back only when the draws give no new ones, and then with another prompt;
 *   in the corpus a prompt may come back, for there each has many answers. */
#include "data/synth.h"
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "data/rows.h"
#include "data/synth_parts.h"

enum {
    TRIES_FRESH = 40, /* candidates that must have a new key, before an own one will do */
    TRIES = 1000      /* then the content is used up */
};

const char *const synth_task_names[SYNTH_TASKS] = {"extraction", "sql_qa", "insights", "push"};
static const char *const set_names[SYNTH_SETS] = {"eval", "test", "train", "corpus"};
static synth_maker *const makers[SYNTH_TASKS] = {synth_extraction, synth_sql, synth_insights,
                                                 synth_push};

struct synth {
    const struct synth_options *options;
    struct synth_result *result;
    struct shop *shop;
    struct map keys;    /* task and key → set */
    struct map prompts; /* fingerprint → set */
    struct candidate candidate;
    struct str print, text; /* scratch */
};

/* --- claims --- */

static void clear(struct candidate *c)
{
    str_clear(&c->prompt);
    str_clear(&c->key);
    str_clear(&c->reference);
    str_clear(&c->completion);
    c->rejected = false;
}

static int fingerprint(struct synth *s, struct err *err)
{
    const struct str *prompt = &s->candidate.prompt;
    struct chat_message message = {"user", str_text(prompt), prompt->length, NULL};
    struct row row = {.messages = &message, .n_messages = 1, .user_text = message.content};
    str_clear(&s->print);
    return row_fingerprint(&s->print, &row, err);
}

/* Whether the candidate may go into the set; if so, it is claimed for it. */
static int claim(bool *taken, struct synth *s, int task, enum synth_set set, bool fresh,
                 struct err *err)
{
    const struct str *key = &s->candidate.key;
    bool for_corpus = set == SYNTH_CORPUS;
    int32_t owner;
    *taken = false;
    str_clear(&s->text);
    str_printf(&s->text, "%d %llu ", task, (unsigned long long)s->options->seed);
    str_append(&s->text, str_text(key), key->length);
    if ((rng_id(str_text(&s->text), s->text.length) >> 40 & 1) != for_corpus)
        return ERR_NONE;
    bool owned = map_get(&s->keys, str_text(&s->text), s->text.length, &owner);
    if (owned && (owner != (int32_t)set || (fresh && !for_corpus)))
        return ERR_NONE;
    int status = fingerprint(s, err);
    if (status)
        return status;
    bool seen = map_get(&s->prompts, str_text(&s->print), s->print.length, &owner);
    if (seen && (!for_corpus || owner != (int32_t)set))
        return ERR_NONE;
    if (s->text.failed || s->print.failed ||
        (!owned && !map_put(&s->keys, str_text(&s->text), s->text.length, (int32_t)set)) ||
        (!seen && !map_put(&s->prompts, str_text(&s->print), s->print.length, (int32_t)set)))
        return err_no_memory(err, "the claimed rows", s->text.length);
    *taken = true;
    return ERR_NONE;
}

static size_t characters(const struct str *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->length; i++)
        n += ((unsigned char)text->data[i] & 0xC0) != 0x80;
    return n;
}

/* The next candidate that the set may have. */
static int next(struct synth *s, int task, enum synth_set set, size_t number, struct err *err)
{
    struct candidate *c = &s->candidate;
    for (unsigned attempt = 0; attempt < TRIES; attempt++) {
        struct draws d = {.key = {.seed = s->options->seed,
                                  .purpose = RNG_SYNTH,
                                  .step = (uint64_t)task + 1,
                                  .row = set,
                                  .epoch = number,
                                  .attempt = attempt}};
        bool taken = false;
        clear(c);
        int status = makers[task](c, s->shop, &d, set == SYNTH_CORPUS, err);
        if (!status &&
            (c->prompt.failed || c->key.failed || c->reference.failed || c->completion.failed))
            status = err_no_memory(err, "a row", c->prompt.length);
        if (!status && !c->rejected)
            status = claim(&taken, s, task, set, attempt < TRIES_FRESH, err);
        if (status)
            return status;
        if (taken) {
            size_t n = characters(&c->prompt), *longest = &s->result->longest_prompt[task];
            *longest = n > *longest ? n : *longest;
            return ERR_NONE;
        }
    }
    return err_set(err, ERR_USAGE, set_names[set],
                   "the shop has no more than %zu different rows of %s for this set beside those "
                   "of the other sets; ask for fewer",
                   number, synth_task_names[task]);
}

/* --- lines --- */

static void put_prompt(struct json_writer *w, const struct candidate *c)
{
    jw_key(w, "prompt");
    jw_array_begin(w);
    jw_object_begin(w);
    jw_key(w, "role");
    jw_text(w, "user");
    jw_key(w, "content");
    jw_string(w, str_text(&c->prompt), c->prompt.length);
    jw_object_end(w);
    jw_array_end(w);
}

static int put_row(struct str *out, struct synth *s, int task, enum synth_set set, size_t number,
                   struct err *err)
{
    int status = next(s, task, set, number, err);
    if (status)
        return status;
    const struct candidate *c = &s->candidate;
    struct json_writer w;
    struct str id = {0};
    jw_begin(&w, out);
    jw_object_begin(&w);
    if (set != SYNTH_CORPUS) {
        str_printf(&id, "%s-%s-%zu", synth_task_names[task], set_names[set], number + 1);
        jw_key(&w, "id");
        jw_text(&w, str_text(&id));
        jw_key(&w, "task");
        jw_text(&w, synth_task_names[task]);
        jw_key(&w, "source");
        jw_text(&w, SYNTH_SOURCE);
    }
    put_prompt(&w, c);
    if (set == SYNTH_CORPUS) {
        jw_key(&w, "completion");
        jw_string(&w, str_text(&c->completion), c->completion.length);
    } else {
        jw_key(&w, "reference");
        json_t *reference =
            json_read(str_text(&c->reference), c->reference.length, 0, "reference", err);
        if (reference)
            jw_value(&w, reference);
        else
            status = err->code;
        json_decref(reference);
    }
    jw_object_end(&w);
    str_putc(out, '\n');
    if (!status && (id.failed || out->failed))
        status = err_no_memory(err, "the rows", out->length);
    str_free(&id);
    return status;
}

/* --- files --- */

static int write_file(struct synth *s, const char *name, const void *data, size_t size,
                      struct err *err)
{
    const char *path = path_join(&s->text, s->options->out, name);
    if (s->text.failed)
        return err_no_memory(err, "a path", strlen(name));
    return file_write_atomic(path, data, size, err);
}

/* `turns`: the tasks take turns instead of standing one after another. */
static int write_set(struct synth *s, enum synth_set set, size_t rows, bool turns, struct err *err)
{
    struct str out = {0}, name = {0};
    size_t total = set == SYNTH_CORPUS ? rows : rows * SYNTH_TASKS;
    int status = ERR_NONE;
    for (size_t i = 0; i < total && !status; i++) {
        int task = (int)(turns ? i % SYNTH_TASKS : i / rows);
        status = put_row(&out, s, task, set, turns ? i / SYNTH_TASKS : i % rows, err);
    }
    str_printf(&name, "%s.jsonl", set_names[set]);
    if (!status && name.failed)
        status = err_no_memory(err, "a path", 16);
    if (!status)
        status = write_file(s, str_text(&name), str_text(&out), out.length, err);
    str_free(&out);
    str_free(&name);
    return status;
}

static int write_database(struct synth *s, struct err *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    int status = shop_image(&bytes, &size, s->shop, err);
    if (!status)
        status = write_file(s, "shop.sqlite", bytes, size, err);
    if (!status)
        status = write_file(s, "schema.sql", shop_schema, strlen(shop_schema), err);
    sqlite3_free(bytes);
    return status;
}

static int write_all(struct synth *s, struct err *err)
{
    const struct synth_options *o = s->options;
    struct synth_result *r = s->result;
    int status = dir_make(o->out, err);
    if (!status)
        status = shop_open(&s->shop, o->seed, err);
    if (!status)
        status = write_database(s, err);
    if (!status)
        status = write_set(s, SYNTH_EVAL, o->eval, false, err);
    if (!status)
        status = write_set(s, SYNTH_TEST, o->test, false, err);
    if (!status)
        status = write_set(s, SYNTH_TRAIN, o->train, true, err);
    if (!status && o->corpus)
        status = write_set(s, SYNTH_CORPUS, o->corpus, true, err);
    if (status)
        return status;
    r->clients = SHOP_CLIENTS;
    r->products = SYNTH_PRODUCTS;
    r->orders = SHOP_ORDERS;
    r->items = s->shop->items;
    r->ratings = s->shop->ratings;
    r->rows[0] = o->train * SYNTH_TASKS;
    r->rows[1] = o->eval * SYNTH_TASKS;
    r->rows[2] = o->test * SYNTH_TASKS;
    r->corpus = o->corpus;
    return ERR_NONE;
}

int synth_run(const struct synth_options *options, struct synth_result *result, struct err *err)
{
    struct synth s = {.options = options, .result = result};
    *result = (struct synth_result){0};
    int status = write_all(&s, err);
    shop_close(s.shop);
    map_free(&s.keys);
    map_free(&s.prompts);
    str_free(&s.candidate.prompt);
    str_free(&s.candidate.key);
    str_free(&s.candidate.reference);
    str_free(&s.candidate.completion);
    str_free(&s.print);
    str_free(&s.text);
    return status;
}
