/* insights.c: `insights`, conclusions from a prompt's figures, and what to do about them.
 *
 *   structure    2 to 5 points (bullets, numbered lines or sentences, of four words at least): 1;
 *                one: 0.4; beyond five, less by 0.2 each
 *
 *   actions      points that tell somebody to do something (insights_words.h), full at two that do
 *                it with different verbs
 *
 *   length       20 to 120 words, falling linearly to 0 at none and at 240
 *
 *   domain       different words of the trade (the row's reference.domain, else ours), full at 3
 *
 *   grounding    (share of the claimed numbers that are grounded)² · min(1, grounded / 2); absent
 *                without data and without claims
 *
 *   repetition   share of different word triples, 0 at 0.5 and 1 at 0.9
 *
 * Grounded is a number of the data (prompt and reference.numbers), of the same kind (a share is no
 * price) and rounded as far as the digits shown tell; or sum, difference, ratio, share or change of
 * two of them, if its digits tell it to 2%. Share and change are looked for only where a % is
 * claimed, ratios only behind decimals or before "vezes": with six numbers in the data a round
 * claim would else be right by chance too often.
 *
 * Excused, neither claim nor ground: the marks of a numbered list, ordinals, bare integers up to 3.
 *
 * Every component is scaled by how much of a text of its own there is:
 *
 *   amount · portuguese · sentence · original · repetition
 *
 * amount: different words, full at 12; portuguese: credit of the words as `push` has it; sentence:
 * share of grammar words (salads of keywords and lists of numbers have none); original: share of
 * word quadruples that are not in the prompt, full at 0.4. Crowds earn less than their parts: more
 * than a quarter of action words or numbers, or half of words of the trade, takes away from the
 * component that they are meant for. Points, actions and words of the trade that are not about the
 * data are worth half: with data, those three are scaled by (1 + grounding) / 2. Nothing at all is
 * worth 0. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "reward/fold.h"
#include "reward/insights_words.h"
#include "reward/ptbr_number.h"
#include "reward/push_text.h"
#include "reward/push_words.h"
#include "reward/rewards.h"

enum { MAX_DATA = 64, MAX_CLAIMS = 64, POINT_WORDS = 4, MAX_VERBS = 256 };

enum {
    GRAMMAR = 1U << PUSH_PREPOSITIONS | 1U << PUSH_CONTRACTIONS | 1U << PUSH_ARTICLES |
              1U << PUSH_CONJUNCTIONS | 1U << PUSH_POSSESSIVES | 1U << PUSH_GRAMMAR
};

/* A derived number must show its value to this share of it. */
static const double COARSE = 0.02;

enum ground { NO_GROUND, GIVEN, DERIVED, EXCUSED };

struct claim {
    struct ptbr_number number;
    enum ground ground;
    bool times; /* "vezes" or x behind it */
};

enum kind { PLAIN, PERCENT, CURRENCY, UNTOLD }; /* untold: of the reference, which has no signs */

struct datum {
    double value;
    enum kind kind;
};

struct findings {
    struct push_text text, prompt;
    struct str folded; /* one folded word */
    struct datum data[MAX_DATA];
    int n_data;
    struct claim claims[MAX_CLAIMS];
    int n_claims;
    size_t words, distinct, points, action_points, action_words, verbs, trade_words, trade;
    size_t trade_wanted;
    double portuguese, sentence, original, triples, scale;
    bool no_memory;
};

static double ramp(double x, double zero, double one)
{
    return fmin(1, fmax(0, (x - zero) / (one - zero)));
}

/* --- the data --- */

static enum kind kind_of(const struct ptbr_number *n)
{
    return n->percent ? PERCENT : n->currency ? CURRENCY : PLAIN;
}

static void add_data(struct findings *f, double value, enum kind kind)
{
    for (int i = 0; i < f->n_data; i++)
        if (f->data[i].value == value && (f->data[i].kind == kind || kind == UNTOLD))
            return;
    if (f->n_data < MAX_DATA)
        f->data[f->n_data++] = (struct datum){value, kind};
}

/* false: the reference is not what it should be; out says so. */
static bool read_data(struct findings *f, const struct reward_input *in, struct reward_result *out)
{
    const json_t *reference = in->row ? json_object_get(in->row, "reference") : NULL;
    const json_t *numbers = json_object_get(reference, "numbers");
    const char *key;
    json_t *value;
    if (numbers && !json_is_null(numbers) && !json_is_object(numbers)) {
        reward_set_failed(out, "reference.numbers is %s, expected an object of numbers",
                          json_type_name(numbers));
        return false;
    }
    struct ptbr_number n;
    size_t at = 0, start;
    while (ptbr_number_next(&n, in->prompt, in->prompt_length, &at, &start))
        add_data(f, fabs(n.value), kind_of(&n));
    json_object_foreach((json_t *)(uintptr_t)numbers, key, value)
    {
        if (!json_is_number(value)) {
            reward_set_failed(out, "reference.numbers has %s under \"%.60s\", expected a number",
                              json_type_name(value), key);
            return false;
        }
        add_data(f, fabs(json_number_value(value)), UNTOLD);
    }
    return true;
}

/* --- the claims --- */

static bool near(const struct claim *c, double value)
{
    return fabs(fabs(c->number.value) - value) <= 0.5 * c->number.unit + 1e-9 * fabs(value);
}

static bool from_two(const struct claim *c, double a, double b)
{
    if (near(c, a + b) || near(c, fabs(a - b)))
        return true;
    if (b == 0)
        return false;
    if (c->number.percent)
        return near(c, 100 * a / b) || near(c, 100 * fabs(a - b) / b);
    return (c->times || c->number.unit < 1) && near(c, a / b);
}

/* 5% is not what "5 dias" says; a number without a sign may be any of them. */
static bool same_kind(const struct claim *c, const struct datum *d)
{
    enum kind kind = kind_of(&c->number);
    return kind == PLAIN || d->kind == UNTOLD || d->kind == kind;
}

static enum ground ground_of(const struct findings *f, const struct claim *c)
{
    for (int i = 0; i < f->n_data; i++)
        if (same_kind(c, &f->data[i]) && near(c, f->data[i].value))
            return GIVEN;
    if (c->number.unit > COARSE * fabs(c->number.value))
        return NO_GROUND;
    for (int i = 0; i < f->n_data; i++)
        for (int k = 0; k < f->n_data; k++)
            if (i != k && from_two(c, f->data[i].value, f->data[k].value))
                return DERIVED;
    return NO_GROUND;
}

/* A list's mark, an ordinal, or too small to claim anything. */
static bool is_excused(const struct ptbr_number *n, const char *text, size_t length, size_t start,
                       size_t end)
{
    bool line = true; /* it begins one */
    for (size_t i = start; i > 0 && text[i - 1] != '\n' && line; i--)
        line = strchr(" \t*#(-", text[i - 1]) && text[i - 1];
    if (n->percent || n->currency || !n->integer)
        return false;
    if (line && end < length && (text[end] == '.' || text[end] == ')'))
        return true;
    if (length - end >= 2 && (memcmp(text + end, "º", 2) == 0 || memcmp(text + end, "ª", 2) == 0))
        return true;
    return fabs(n->value) <= 3;
}

static bool says_times(const char *text, size_t length, size_t end)
{
    if (end < length && (text[end] == 'x' || text[end] == 'X'))
        return true;
    return length - end >= 6 && memcmp(text + end, " vezes", 6) == 0;
}

static void read_claims(struct findings *f, const char *text, size_t length)
{
    struct ptbr_number n;
    size_t at = 0, start;
    while (f->n_claims < MAX_CLAIMS && ptbr_number_next(&n, text, length, &at, &start)) {
        bool twice = false;
        for (int i = 0; i < f->n_claims && !twice; i++)
            twice = f->claims[i].number.value == n.value &&
                    f->claims[i].number.percent == n.percent && f->claims[i].ground != EXCUSED;
        if (twice)
            continue;
        struct claim *c = &f->claims[f->n_claims++];
        *c = (struct claim){.number = n, .times = says_times(text, length, at)};
        c->ground = is_excused(&n, text, length, start, at) ? EXCUSED : ground_of(f, c);
    }
}

/* --- the words --- */

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The hashes of all runs of `n` words, sorted; NULL: memory is out. */
static uint64_t *runs_of(const struct push_text *t, size_t n, size_t *count)
{
    size_t size;
    *count = t->n >= n ? t->n - n + 1 : 0;
    uint64_t *out = mem_mul(&size, *count + 1, sizeof *out) ? mem_alloc(size) : NULL;
    for (size_t i = 0; out && i < *count; i++) {
        uint64_t words[4] = {0};
        for (size_t k = 0; k < n; k++)
            words[k] = t->tokens[i + k].hash;
        out[i] = hash_bytes(words, sizeof words, 0);
    }
    if (out)
        qsort(out, *count, sizeof *out, compare_hashes);
    return out;
}

static size_t distinct(const uint64_t *sorted, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += i == 0 || sorted[i] != sorted[i - 1];
    return count;
}

static void read_runs(struct findings *f)
{
    size_t n1, n3, n4, prompt4, fresh = 0;
    uint64_t *one = runs_of(&f->text, 1, &n1), *three = runs_of(&f->text, 3, &n3),
             *four = runs_of(&f->text, 4, &n4), *given = runs_of(&f->prompt, 4, &prompt4);
    if (one && three && four && given) {
        f->distinct = distinct(one, n1);
        f->triples = n3 ? (double)distinct(three, n3) / (double)n3 : 1;
        for (size_t i = 0; i < n4; i++)
            fresh += !prompt4 || !bsearch(&four[i], given, prompt4, sizeof *given, compare_hashes);
        f->original = n4 ? ramp((double)fresh / (double)n4, 0, 0.4) : 1;
    } else {
        f->no_memory = true;
    }
    mem_free(one);
    mem_free(three);
    mem_free(four);
    mem_free(given);
}

static struct slice folded_word(struct findings *f, size_t i)
{
    struct slice word = push_token_text(&f->text, i);
    str_clear(&f->folded);
    fold_text(&f->folded, word.data, word.length);
    f->no_memory |= f->folded.failed;
    return (struct slice){str_text(&f->folded), f->folded.length};
}

enum { TRADE_WORDS = 128 };

/* The words of the trade, folded once: each word of the text is held against all of them. */
struct trade {
    struct str text;
    struct slice words[TRADE_WORDS];
    size_t n;
    bool inflected; /* the row's own: with or without a final s */
};

static bool trade_read(struct trade *t, const json_t *domain)
{
    size_t ends[TRADE_WORDS];
    *t = (struct trade){.inflected = json_array_size(domain) > 0};
    const char *known;
    if (!t->inflected)
        while (t->n < TRADE_WORDS && (known = insights_domain_word(t->n)))
            t->words[t->n++] = slice_of(known);
    if (!t->inflected)
        return true;
    for (; t->n < json_array_size(domain) && t->n < TRADE_WORDS; t->n++) {
        const json_t *item = json_array_get(domain, t->n);
        fold_text(&t->text, json_string_value(item), json_string_length(item));
        ends[t->n] = t->text.length;
    }
    if (t->text.failed)
        t->n = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t start = i ? ends[i - 1] : 0;
        t->words[i] = (struct slice){str_text(&t->text) + start, ends[i] - start};
    }
    return !t->text.failed;
}

static bool same_trade(const struct trade *t, struct slice word, struct slice known)
{
    size_t n = word.length < known.length ? word.length : known.length,
           longer = word.length + known.length - n;
    if (t->inflected ? known.length < 2 || longer > n + 1 : longer != n)
        return false;
    if (n == 0 || memcmp(word.data, known.data, n) != 0)
        return false;
    return longer == n || (word.length > n ? word.data[n] : known.data[n]) == 's';
}

/* Counts the words of the trade: `seen` marks those of the list that were found. */
static bool is_trade(const struct trade *t, struct slice word, bool seen[TRADE_WORDS])
{
    for (size_t i = 0; i < t->n; i++)
        if (same_trade(t, word, t->words[i]))
            return seen[i] = true;
    return false;
}

static void read_words(struct findings *f, const json_t *domain)
{
    bool seen[TRADE_WORDS] = {false}, verbs[MAX_VERBS] = {false};
    struct trade trade;
    double credit = 0;
    size_t letters = 0, grammar = 0;
    f->no_memory |= !trade_read(&trade, domain);
    for (size_t i = 0; i < f->text.n; i++) {
        const struct push_token *token = &f->text.tokens[i];
        if (token->number)
            continue;
        int verb;
        letters++;
        credit += push_word_credit(&f->text, i);
        grammar += (token->lists & GRAMMAR) != 0;
        struct slice word = folded_word(f, i);
        if (insights_action(word, &verb)) {
            f->action_words++;
            verbs[verb] = true;
        }
        f->trade_words += is_trade(&trade, word, seen);
    }
    str_free(&trade.text);
    for (size_t i = 0; i < TRADE_WORDS; i++)
        f->trade += seen[i];
    for (size_t i = 0; i < MAX_VERBS; i++)
        f->verbs += verbs[i];
    f->words = f->text.n;
    f->trade_wanted =
        json_array_size(domain) && json_array_size(domain) < 3 ? json_array_size(domain) : 3;
    double n = letters ? (double)letters : 1, share = (double)grammar / n;
    f->portuguese = ramp(credit / n, 0.3, 0.85);
    f->sentence = share <= 0.75 ? ramp(share, 0.05, 0.22) : ramp(share, 1, 0.75);
}

/* --- the points --- */

static void end_point(struct findings *f, const char *from, const char *to)
{
    struct push_text t = {0};
    size_t letters = 0;
    bool acts = false;
    if (!push_text_read(&t, from, (size_t)(to - from)))
        f->no_memory = true;
    for (size_t i = 0; i < t.n; i++) {
        int verb;
        struct slice word = push_token_text(&t, i);
        letters += !t.tokens[i].number;
        str_clear(&f->folded);
        fold_text(&f->folded, word.data, word.length);
        f->no_memory |= f->folded.failed;
        word = (struct slice){str_text(&f->folded), f->folded.length};
        acts = acts || insights_action(word, &verb);
    }
    f->points += letters >= POINT_WORDS;
    f->action_points += letters >= POINT_WORDS && acts;
    push_text_free(&t);
}

/* Lines that begin with a mark are one point each; other lines have one a sentence. */
static void read_points(struct findings *f, const char *text, size_t length)
{
    size_t start = 0;
    bool marked = false, begun = false;
    for (size_t i = 0; i <= length; i++) {
        char c = i < length ? text[i] : '\n';
        if (!begun && c != ' ' && c != '\t' && c != '\n') {
            begun = true;
            size_t k = i;
            while (k < length && text[k] >= '0' && text[k] <= '9')
                k++;
            marked = c == '-' || c == '*' || (length - i >= 3 && memcmp(text + i, "•", 3) == 0) ||
                     (k > i && k < length && (text[k] == '.' || text[k] == ')'));
        }
        char next = i + 1 < length ? text[i + 1] : '\n';
        bool stop = c == '.' || c == '!' || c == '?';
        if (c == '\n' || (stop && !marked && strchr(" \n\r", next) && next)) {
            end_point(f, text + start, text + i);
            start = i < length ? i + 1 : length;
            if (c == '\n')
                begun = marked = false;
        }
    }
}

/* --- judging --- */

static double grounding(const struct findings *f)
{
    int claims = 0, grounded = 0;
    for (int i = 0; i < f->n_claims; i++) {
        claims += f->claims[i].ground != EXCUSED;
        grounded += f->claims[i].ground == GIVEN || f->claims[i].ground == DERIVED;
    }
    if (f->n_data == 0 && claims == 0)
        return NAN;
    if (grounded == 0)
        return 0;
    double share = (double)grounded / claims, wanted = f->n_data < 2 ? 1 : 2;
    double crowd = (double)claims / fmax(1, (double)f->words);
    return share * share * fmin(1, grounded / wanted) * ramp(crowd, 0.6, 0.25);
}

static void judge(struct findings *f, struct reward_result *out)
{
    static const double structure[] = {0, 0.4, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2};
    double *c = out->components, words = fmax(1, (double)f->words);
    double acting = (double)(f->verbs < f->action_points ? f->verbs : f->action_points);
    double fresh = ramp(f->triples, 0.5, 0.9);
    f->scale =
        fmin(1, (double)f->distinct / 12) * f->portuguese * f->sentence * f->original * fresh;
    c[INSIGHTS_STRUCTURE] = structure[f->points < 9 ? f->points : 9];
    c[INSIGHTS_ACTIONS] = fmin(1, acting / 2) * ramp((double)f->action_words / words, 0.5, 0.25);
    c[INSIGHTS_LENGTH] = fmin(ramp((double)f->words, 0, 20), ramp((double)f->words, 240, 120));
    c[INSIGHTS_DOMAIN] = fmin(1, (double)f->trade / (double)f->trade_wanted) *
                         ramp((double)f->trade_words / words, 0.8, 0.5);
    c[INSIGHTS_GROUNDING] = grounding(f);
    c[INSIGHTS_REPETITION] = fresh;
    if (!isnan(c[INSIGHTS_GROUNDING])) { /* conclusions from nothing */
        double held = 0.5 + 0.5 * c[INSIGHTS_GROUNDING];
        c[INSIGHTS_STRUCTURE] *= held;
        c[INSIGHTS_ACTIONS] *= held;
        c[INSIGHTS_DOMAIN] *= held;
    }
    double sum = 0, weights = 0;
    const struct reward_definition *d = reward_find("insights");
    for (int i = 0; i < d->n_components; i++) {
        c[i] *= f->scale;
        if (isnan(c[i]))
            continue;
        sum += d->components[i].weight * c[i];
        weights += d->components[i].weight;
    }
    out->score = fmin(1, sum / weights);
}

static void explain(struct str *out, const struct findings *f)
{
    static const char *const grounds[] = {"none", "given", "derived", "excused"};
    struct json_writer w;
    const struct {
        const char *name;
        size_t count;
    } counts[] = {{"words", f->words},
                  {"points", f->points},
                  {"points_with_action", f->action_points},
                  {"verbs", f->verbs},
                  {"domain_words", f->trade}};
    const struct {
        const char *name;
        double factor;
    } factors[] = {{"portuguese", f->portuguese},
                   {"sentence", f->sentence},
                   {"original", f->original},
                   {"scale", f->scale}};
    jw_begin(&w, out);
    jw_object_begin(&w);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        jw_key(&w, counts[i].name);
        jw_int(&w, (long long)counts[i].count);
    }
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        jw_key(&w, factors[i].name);
        jw_double(&w, factors[i].factor);
    }
    jw_key(&w, "claims");
    jw_array_begin(&w);
    for (int i = 0; i < f->n_claims; i++) {
        jw_object_begin(&w);
        jw_key(&w, "value");
        jw_double(&w, f->claims[i].number.value);
        jw_key(&w, "percent");
        jw_bool(&w, f->claims[i].number.percent);
        jw_key(&w, "ground");
        jw_text(&w, grounds[f->claims[i].ground]);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
}

void insights_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                       struct str *explain_json)
{
    (void)state;
    struct findings *f = mem_calloc(1, sizeof *f);
    struct str answer = {0};
    strip_think(&answer, in->completion, in->completion_length);
    bool ok = f && !answer.failed;
    if (ok && read_data(f, in, out)) {
        struct slice t = reward_trim(str_text(&answer), answer.length);
        const json_t *reference = in->row ? json_object_get(in->row, "reference") : NULL;
        f->no_memory |= !push_text_read(&f->text, t.data, t.length);
        f->no_memory |= !push_text_read(&f->prompt, in->prompt, in->prompt_length);
        if (!f->no_memory)
            read_runs(f);
        if (!f->no_memory)
            read_words(f, json_object_get(reference, "domain"));
        if (!f->no_memory)
            read_points(f, t.data, t.length);
        read_claims(f, t.data, t.length);
        ok = !f->no_memory;
        if (ok)
            judge(f, out);
        if (ok && explain_json)
            explain(explain_json, f);
        push_text_free(&f->text);
        push_text_free(&f->prompt);
    }
    if (f)
        str_free(&f->folded);
    mem_free(f);
    str_free(&answer);
    if (!ok)
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
}
