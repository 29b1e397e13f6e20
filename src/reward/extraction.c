/* extraction.c: `extraction`, a text turned into a JSON object of known fields. The schema is data
 * (schema.h): that of reviews, or the file that params {"schema": PATH} names.
 *
 *   json_strict   1 when the answer (or its fence) is valid JSON as it stands, and an object
 *   json_valid    1 when it is an object after repair (json_repair.h)
 *   schema        share of the fields that are there with the right type, word and range; near
 *                 misses ("5" for 5, a summary too long, a key in capitals) count half. Where the
 *                 object has more keys than the schema, the share is of them
 *   fields        against the row's reference, weighted by the schema: words and flags exactly
 *                 (case and accents aside), integers by distance, numbers within a tolerance
 *                 (Brazilian strings are read), text by token F1. Where the truth is null a field
 *                 has half its weight: null is easily guessed. What the reference lacks is not
 *                 judged. Absent where the row has no reference
 *
 *   consistency   without a reference, in place of it: the share of the schema's rules that apply
 *                 and hold, and of the fields "from_prompt" whose words or value the prompt has
 *                 (names of fields are no such words: prompts list them). Scaled by `schema`, so
 *                 that silence is not consistent
 *
 *   no_extra      1 / (1 + keys that are not in the schema / 2), scaled by `schema`
 *
 * One object is judged, that of json_repair.h: a second one, a second value under a key, an object
 * within it, are never looked at for something better.
 *
 * The score is the weighted mean of those present: a perfect answer is worth 1 either way, {} about
 * 0.1. The first two have little weight because they are won by {} alone; they are there to be
 * watched. Without a reference an object that agrees with itself and takes words of the prompt is
 * worth 1, whatever it says of them: rows to learn from should have references. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "reward/fold.h"
#include "reward/json_repair.h"
#include "reward/ptbr_number.h"
#include "reward/rewards.h"
#include "reward/schema.h"

/* --- parameters --- */

struct extraction_params {
    struct schema schema;
    char *path; /* of its file; NULL: the compiled-in one */
};

void extraction_release(void *state)
{
    struct extraction_params *p = state;
    schema_free(&p->schema);
    mem_free(p->path);
    mem_free(p);
}

int extraction_configure(void **state, const json_t *params, struct err *err)
{
    static const char *const known[] = {"schema"};
    static const char where[] = "params of reward extraction";
    const char *path = NULL;
    int status = reward_params_check(params, known, 1, "extraction", err);
    if (!status && json_is_object(params))
        status = json_get_string(&path, params, "schema", false, where, err);
    if (status)
        return status;
    struct extraction_params *p = mem_calloc(1, sizeof *p);
    if (!p)
        return err_no_memory(err, where, sizeof *p);
    struct schema *s = &p->schema;
    p->path = path ? mem_strdup(path) : NULL;
    if (path && !p->path)
        status = err_no_memory(err, where, strlen(path));
    if (!status)
        status = path ? schema_read_file(s, path, err)
                      : schema_read(s, schema_default_text, strlen(schema_default_text),
                                    "the schema review_extraction", err);
    if (status)
        extraction_release(p);
    else
        *state = p;
    return status;
}

int extraction_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                     struct err *err)
{
    const struct extraction_params *p = state;
    return !row && p->path ? visit(user, p->path, err) : ERR_NONE;
}

/* --- what is found --- */

enum { SHORTEST = 3, PROMPT_BYTES = 1 << 16 }; /* of a word; of the prompt, what counts */

struct extraction {
    const struct schema *schema;
    const struct reward_input *in;
    struct json_repaired json;
    const json_t *object; /* in json.value; NULL: none */
    const json_t *reference;
    struct schema_value values[SCHEMA_MAX_FIELDS], truth[SCHEMA_MAX_FIELDS];
    double credit[SCHEMA_MAX_FIELDS]; /* of `fields` or of from_prompt; NaN: not judged */
    int rules[SCHEMA_MAX_RULES];      /* 1 held, 0 broken, -1 did not apply */
    struct fold_words names;          /* of the fields; only for `consistency` */
    size_t extra;
    bool no_memory;
};

static bool is_field(const struct extraction *e, const char *key)
{
    for (int i = 0; i < e->schema->n_fields; i++)
        if (strcmp(e->schema->fields[i].name, key) == 0)
            return true;
    return false;
}

/* The value under a field's name, or under a key that differs in case and accents alone. */
static const json_t *find_key(struct extraction *e, const char *name, bool *near)
{
    enum { FEW = 100 };
    const json_t *value = json_object_get(e->object, name);
    const char *key;
    json_t *other;
    *near = false;
    if (value || json_object_size(e->object) > FEW)
        return value;
    struct str wanted = {0}, found = {0};
    fold_text(&wanted, name, strlen(name));
    json_object_foreach((json_t *)(uintptr_t)e->object, key, other)
    {
        str_clear(&found);
        fold_text(&found, key, strlen(key));
        if (!value && found.length == wanted.length && wanted.length && !is_field(e, key) &&
            memcmp(str_text(&found), str_text(&wanted), found.length) == 0)
            value = other;
    }
    e->no_memory |= wanted.failed || found.failed;
    str_free(&wanted);
    str_free(&found);
    *near = value != NULL;
    return value;
}

static void read_values(struct extraction *e)
{
    size_t used = 0;
    for (int i = 0; i < e->schema->n_fields; i++) {
        bool near;
        const json_t *value = find_key(e, e->schema->fields[i].name, &near);
        e->values[i] = schema_value(&e->schema->fields[i], value);
        e->no_memory |= e->values[i].no_memory;
        if (near)
            e->values[i].fit *= 0.5;
        used += value != NULL;
    }
    size_t keys = json_object_size(e->object);
    e->extra = keys > used ? keys - used : 0;
}

/* The reference's values. false: it is not what the schema says, and nobody can be judged by it. */
static bool read_truth(struct extraction *e, struct reward_result *out)
{
    const json_t *reference;
    if (!reward_reference(&reference, e->in, out))
        return false;
    for (int i = 0; i < e->schema->n_fields; i++) {
        const struct schema_field *f = &e->schema->fields[i];
        const json_t *value = json_object_get(reference, f->name);
        if (!value)
            continue;
        e->reference = reference;
        e->truth[i] = schema_value(f, value);
        e->no_memory |= e->truth[i].no_memory;
        if (e->truth[i].state == VALUE_WRONG) {
            reward_set_failed(out, "the row's reference has %s under \"%.60s\", against the schema",
                              json_type_name(value), f->name);
            return false;
        }
    }
    return true;
}

/* --- judging --- */

static double text_f1(struct extraction *e, struct slice a, struct slice b)
{
    struct fold_words x = {0}, y = {0};
    bool ok = fold_words(&x, a.data, a.length, 1);
    ok = fold_words(&y, b.data, b.length, 1) && ok;
    double f1 = ok ? fold_f1(&x, &y) : 0;
    if (ok && x.n + y.n == 0) /* signs alone: 👍 is not 👎 */
        f1 = a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
    e->no_memory |= !ok;
    fold_words_free(&x);
    fold_words_free(&y);
    return f1;
}

static double field_credit(struct extraction *e, int i)
{
    const struct schema_field *f = &e->schema->fields[i];
    const struct schema_value *got = &e->values[i], *truth = &e->truth[i];
    if (truth->state == VALUE_NULL)
        return got->state == VALUE_NULL;
    if (got->state != VALUE_READ)
        return 0;
    double distance = fabs(got->number - truth->number);
    switch (f->type) {
    case SCHEMA_STRING:
        return text_f1(e, got->text, truth->text);
    case SCHEMA_INTEGER:
        return f->tolerance > 0 ? fmax(0, 1 - distance / f->tolerance) : distance == 0;
    case SCHEMA_NUMBER:
        return distance <= f->relative_tolerance * fabs(truth->number) + 1e-9;
    default:
        return distance == 0;
    }
}

static double judge_fields(struct extraction *e)
{
    double sum = 0, weights = 0;
    for (int i = 0; i < e->schema->n_fields; i++) {
        e->credit[i] = NAN;
        if (e->truth[i].state == VALUE_ABSENT)
            continue;
        double weight = e->schema->fields[i].weight;
        if (e->truth[i].state == VALUE_NULL)
            weight *= 0.5;
        e->credit[i] = field_credit(e, i);
        sum += weight * e->credit[i];
        weights += weight;
    }
    return weights > 0 ? sum / weights : 0;
}

/* How much of a value the prompt has. */
static double in_prompt(struct extraction *e, const struct schema_field *f,
                        const struct schema_value *v)
{
    const struct reward_input *in = e->in;
    size_t length = in->prompt_length < PROMPT_BYTES ? in->prompt_length : PROMPT_BYTES;
    if (f->type == SCHEMA_NUMBER) {
        struct ptbr_number n;
        size_t at = 0, start;
        while (ptbr_number_next(&n, in->prompt, length, &at, &start))
            if (fabs(n.value - v->number) <= f->relative_tolerance * fabs(n.value) + 1e-9)
                return 1;
        return 0;
    }
    struct fold_words words = {0}, prompt = {0};
    bool ok = fold_words(&words, v->text.data, v->text.length, SHORTEST);
    ok = fold_words(&prompt, in->prompt, length, SHORTEST) && ok;
    size_t found = 0, own = 0;
    for (size_t i = 0; ok && i < words.n; i++) {
        own += !fold_has(&e->names, words.hashes[i]);
        found += fold_has(&prompt, words.hashes[i]);
    }
    double share = own ? (double)found / (double)words.n : 0;
    e->no_memory |= !ok;
    fold_words_free(&words);
    fold_words_free(&prompt);
    return fmin(1, share / 0.5);
}

static bool read_names(struct extraction *e)
{
    struct str all = {0};
    for (int i = 0; i < e->schema->n_fields; i++) {
        str_puts(&all, e->schema->fields[i].name);
        str_putc(&all, ' ');
    }
    bool ok = fold_words(&e->names, str_text(&all), all.length, SHORTEST) && !all.failed;
    str_free(&all);
    return ok;
}

static double judge_consistency(struct extraction *e)
{
    e->no_memory |= !read_names(e);
    double sum = 0;
    int n = 0;
    for (int i = 0; i < e->schema->n_rules; i++) {
        const struct schema_rule *rule = &e->schema->rules[i];
        e->rules[i] = schema_test_holds(e->schema, &rule->when, e->values) == 1
                          ? schema_test_holds(e->schema, &rule->then, e->values)
                          : -1;
        n += e->rules[i] >= 0;
        sum += e->rules[i] == 1;
    }
    for (int i = 0; i < e->schema->n_fields; i++) {
        const struct schema_field *f = &e->schema->fields[i];
        e->credit[i] = NAN;
        if (!f->from_prompt || e->values[i].state != VALUE_READ)
            continue;
        e->credit[i] = in_prompt(e, f, &e->values[i]);
        sum += e->credit[i];
        n++;
    }
    return n ? sum / n : 0;
}

static void judge(struct extraction *e, struct reward_result *out)
{
    double schema = 0;
    for (int i = 0; i < e->schema->n_fields; i++)
        schema += e->object ? e->values[i].fit : 0;
    size_t keys = json_object_size(e->object);
    schema /= fmax(e->schema->n_fields, (double)keys);
    double *c = out->components;
    c[EXTRACTION_STRICT] = e->object && e->json.strict;
    c[EXTRACTION_VALID] = e->object != NULL;
    c[EXTRACTION_SCHEMA] = schema;
    if (e->reference)
        c[EXTRACTION_FIELDS] = judge_fields(e);
    else
        c[EXTRACTION_CONSISTENCY] = schema * judge_consistency(e);
    c[EXTRACTION_NO_EXTRA] = schema / (1 + 0.5 * (double)e->extra);
    double sum = 0, weights = 0;
    const struct reward_definition *d = reward_find("extraction");
    for (int i = 0; i < d->n_components; i++)
        if (!isnan(c[i])) {
            sum += d->components[i].weight * c[i];
            weights += d->components[i].weight;
        }
    out->score = fmin(1, sum / weights);
}

/* --- explaining --- */

static void explain_json_found(struct json_writer *w, const struct json_repaired *r)
{
    jw_key(w, "json");
    if (r->value)
        jw_value(w, r->value);
    else
        jw_null(w);
    jw_key(w, "place");
    jw_text(w, json_place_name(r->place));
    jw_key(w, "strict");
    jw_bool(w, r->strict);
    jw_key(w, "repairs");
    jw_array_begin(w);
    for (int i = 0; i < JSON_REPAIR_KINDS; i++)
        if (r->repairs >> i & 1)
            jw_text(w, json_repair_name((enum json_repair_kind)i));
    jw_array_end(w);
}

static void explain(struct str *out, const struct extraction *e)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    explain_json_found(&w, &e->json);
    jw_key(&w, "fields");
    jw_object_begin(&w);
    for (int i = 0; e->object && i < e->schema->n_fields; i++) {
        jw_key(&w, e->schema->fields[i].name);
        jw_object_begin(&w);
        jw_key(&w, "schema");
        jw_double(&w, e->values[i].fit);
        jw_key(&w, e->reference ? "credit" : "from_prompt");
        jw_double(&w, e->credit[i]);
        jw_object_end(&w);
    }
    jw_object_end(&w);
    jw_key(&w, "broken_rules"); /* by their place in the schema */
    jw_array_begin(&w);
    for (int i = 0; e->object && !e->reference && i < e->schema->n_rules; i++)
        if (e->rules[i] == 0)
            jw_int(&w, i);
    jw_array_end(&w);
    jw_key(&w, "extra_keys");
    jw_int(&w, (long long)e->extra);
    jw_object_end(&w);
}

void extraction_evaluate(const void *state, const struct reward_input *in,
                         struct reward_result *out, struct str *explain_json)
{
    struct extraction *e = mem_calloc(1, sizeof *e);
    struct str answer = {0};
    strip_think(&answer, in->completion, in->completion_length);
    bool ok = e && !answer.failed && json_repair(&e->json, str_text(&answer), answer.length);
    str_free(&answer);
    if (ok) {
        e->schema = &((const struct extraction_params *)state)->schema;
        e->in = in;
        const json_t *value = e->json.value;
        if (json_array_size(value) == 1) /* [{…}]: meant as the object */
            value = json_array_get(value, 0);
        e->object = json_is_object(value) ? value : NULL;
        read_values(e);
        if (read_truth(e, out))
            judge(e, out);
        ok = !e->no_memory;
        if (ok && explain_json && out->status == REWARD_OK)
            explain(explain_json, e);
        json_repaired_free(&e->json);
        fold_words_free(&e->names);
    }
    mem_free(e);
    if (!ok)
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
}
