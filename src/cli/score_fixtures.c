/* score_fixtures.c: the verdicts of fixtures.h for people and for scripts; see score_fixtures.h. */
#include "cli/score_fixtures.h"
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/lines.h"
#include "reward/fixtures.h"

enum { SHOWN = 10 };

struct showing {
    struct str text;  /* for people: the table; with --json: the object */
    struct str wrong; /* for people: what is wrong, below the table */
    struct json_writer w;
    bool json;
    int judged, failed;
    char first[64]; /* name of the first that does not hold */
};

/* --- for people --- */

static void put_score(struct str *out, double score)
{
    if (isnan(score))
        str_printf(out, "  %13s", "-");
    else
        str_printf(out, "  %13.3f", score);
}

static void put_unscored(struct str *out, const struct fixture *f)
{
    str_printf(out, "  line %ld has no score (%s): ", f->line, reward_status_name(f->is.status));
    log_printable(out, f->is.reason, strlen(f->is.reason), 200);
    str_putc(out, '\n');
}

static void put_wrong(struct str *out, const char *name, const struct fixture_verdict *v)
{
    str_printf(out, "%s\n", name);
    if (v->lacking[0])
        str_printf(out, "  %s\n", v->lacking);
    for (int i = 0, shown = 0; i < v->count && shown < SHOWN; i++)
        if (v->fixtures[i].is.status != REWARD_OK) {
            put_unscored(out, &v->fixtures[i]);
            shown++;
        }
    if (v->not_scored > SHOWN)
        str_printf(out, "  and %d more without a score\n", v->not_scored - SHOWN);
    for (int i = 0; i < v->n_pairs && i < SHOWN; i++) {
        struct str pair = {0};
        fixture_pair_text(&pair, v, i);
        str_puts(out, "  ");
        log_printable(out, str_text(&pair), pair.length, 0);
        str_putc(out, '\n');
        out->failed = out->failed || pair.failed;
        str_free(&pair);
    }
    if (v->n_pairs > SHOWN)
        str_printf(out, "  and %d more (--json has all)\n", v->n_pairs - SHOWN);
}

static void show_row(struct showing *s, const char *name, const struct fixture_verdict *v)
{
    if (!s->judged)
        str_printf(&s->text, "%-16s  %5s  %13s  %13s  %13s  %13s  %s\n", "reward", "lines",
                   "lowest gold", "near miss max", "empty max", "adversary max", "verdict");
    str_printf(&s->text, "%-16s  %5d", name, v->count);
    put_score(&s->text, v->lowest[FIXTURE_GOLD]);
    put_score(&s->text, v->highest[FIXTURE_NEAR_MISS]);
    put_score(&s->text, v->highest[FIXTURE_EMPTY]);
    put_score(&s->text, v->highest[FIXTURE_ADVERSARIAL]);
    if (v->holds)
        str_puts(&s->text, "  holds\n");
    else if (v->n_pairs)
        str_printf(&s->text, "  FAILS: %d pairs\n", v->n_pairs);
    else
        str_puts(&s->text, "  FAILS\n");
    if (!v->holds)
        put_wrong(&s->wrong, name, v);
}

/* --- for scripts --- */

static void write_fixture(struct json_writer *w, const char *key, const struct fixture *f)
{
    if (key)
        jw_key(w, key);
    jw_object_begin(w);
    jw_key(w, "line");
    jw_int(w, f->line);
    jw_key(w, "case");
    jw_text(w, f->group);
    jw_key(w, "kind");
    jw_text(w, fixture_kind_name(f->kind));
    jw_key(w, "note");
    jw_text(w, f->note);
    jw_key(w, "status");
    jw_text(w, reward_status_name(f->is.status));
    jw_key(w, "score");
    jw_double(w, f->is.status == REWARD_OK ? f->is.score : NAN);
    if (f->is.status != REWARD_OK) {
        jw_key(w, "reason");
        jw_text(w, f->is.reason);
    }
    jw_object_end(w);
}

static void write_numbers(struct json_writer *w, const struct fixture_verdict *v)
{
    jw_key(w, "n");
    jw_int(w, v->count);
    for (int k = 0; k < FIXTURE_KINDS; k++) {
        jw_key(w, fixture_kind_name((enum fixture_kind)k));
        jw_object_begin(w);
        jw_key(w, "n");
        jw_int(w, v->counts[k]);
        jw_key(w, "lowest");
        jw_double(w, v->lowest[k]);
        jw_key(w, "highest");
        jw_double(w, v->highest[k]);
        jw_object_end(w);
    }
}

static void write_verdict(struct json_writer *w, const char *name, const struct fixture_verdict *v)
{
    jw_object_begin(w);
    jw_key(w, "reward");
    jw_text(w, name);
    jw_key(w, "holds");
    jw_bool(w, v->holds);
    write_numbers(w, v);
    jw_key(w, "violations");
    jw_array_begin(w);
    for (int i = 0; i < v->n_pairs; i++) {
        jw_object_begin(w);
        write_fixture(w, "better", &v->fixtures[v->pairs[i].better]);
        write_fixture(w, "worse", &v->fixtures[v->pairs[i].worse]);
        jw_object_end(w);
    }
    jw_array_end(w);
    jw_key(w, "not_scored");
    jw_array_begin(w);
    for (int i = 0; i < v->count; i++)
        if (v->fixtures[i].is.status != REWARD_OK)
            write_fixture(w, NULL, &v->fixtures[i]);
    jw_array_end(w);
    jw_key(w, "lacking");
    v->lacking[0] ? jw_text(w, v->lacking) : jw_null(w);
    jw_object_end(w);
}

/* --- the command --- */

static int judge(struct showing *s, const char *name, const reward *own, struct slice text,
                 const char *where, struct err *err)
{
    struct fixture_verdict v;
    int status = fixtures_judge(&v, name, own, text, where, err);
    if (!status) {
        if (s->json)
            write_verdict(&s->w, name, &v);
        else
            show_row(s, name, &v);
        if (!v.holds && !s->failed++)
            snprintf(s->first, sizeof s->first, "%s", name);
        s->judged++;
    }
    fixture_verdict_free(&v);
    return status;
}

static int judge_shipped(struct showing *s, const char *name, const reward *own, struct err *err)
{
    struct slice text = fixtures_shipped(name);
    char where[100];
    reward *unknown;
    if (!reward_find(name)) /* for its message */
        return reward_create(&unknown, name, NULL, err);
    snprintf(where, sizeof where, "fixtures of %s", name);
    return text.data ? judge(s, name, own, text, where, err)
                     : err_set(err, ERR_USAGE, "--fixtures",
                               "the program has none for reward \"%.60s\"; give your own with "
                               "--fixtures-file",
                               name);
}

static int judge_file(struct showing *s, const char *name, const reward *own, const char *file,
                      struct err *err)
{
    struct str text = {0};
    int status = file_read(&text, file, err);
    if (!status)
        status = judge(s, name, own, (struct slice){str_text(&text), text.length}, file, err);
    str_free(&text);
    return status;
}

static int judge_all(struct showing *s, struct err *err)
{
    const struct reward_definition *d;
    int status = ERR_NONE;
    for (int i = 0; !status && (d = reward_at(i)); i++)
        if (fixtures_shipped(d->name).data)
            status = judge_shipped(s, d->name, NULL, err);
    return status;
}

int score_fixtures(const struct common *common, const char *name, const reward *own,
                   const char *file, struct err *err)
{
    struct showing s = {.json = common->json};
    jw_begin(&s.w, &s.text);
    if (s.json) {
        jw_object_begin(&s.w);
        jw_key(&s.w, "rewards");
        jw_array_begin(&s.w);
    }
    int status = file   ? judge_file(&s, name, own, file, err)
                 : name ? judge_shipped(&s, name, own, err)
                        : judge_all(&s, err);
    if (s.json) {
        jw_array_end(&s.w);
        jw_key(&s.w, "holds");
        jw_bool(&s.w, !s.failed);
        jw_object_end(&s.w);
        str_putc(&s.text, '\n');
    } else if (s.wrong.length) {
        str_putc(&s.text, '\n');
        str_append(&s.text, s.wrong.data, s.wrong.length);
    }
    s.text.failed = s.text.failed || s.wrong.failed;
    if (!status)
        status = print_text(&s.text, err);
    if (!status && s.failed)
        status = err_set(err, ERR_GATE, "fixtures",
                         "%d of %d rewards do not pay each good completion more than every worse "
                         "one; the first is %s",
                         s.failed, s.judged, s.first);
    str_free(&s.text);
    str_free(&s.wrong);
    return status;
}
