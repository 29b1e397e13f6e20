/* insights.c: `insights`, conclusions from a prompt's figures, and what to do about them.
 *
 *   structure    2 to 5 points (bullets, numbered lines or sentences, of four words at least): 1;
 *                one: 0.4; beyond five, less by 0.2 each
 *
 *   actions      points that tell somebody to do something (insights_words.h; a verb and what it is
 *                about), full at two that do it with different verbs
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
 * What is grounded, derived, excused or a target: insights_ground.c.
 *
 * Every component is scaled by how much of a text of its own there is:
 *
 *   amount · portuguese · sentence · original · repetition
 *
 * amount: different words, full at 12; portuguese: credit of the words as `push` has it; sentence:
 * share of grammar words (salads of keywords and lists of numbers have none); original: share of
 * word quadruples that are not in the prompt, 0 at 0.1 and full at 0.6. Crowds earn less than their
 * parts: more than a quarter of action words or numbers, or half of words of the trade, takes away
 * from the component that they are meant for. Points, actions and words of the trade that are not
 * about the data are worth half: with data, those three are scaled by (1 + grounding) / 2. Nothing
 * at all is worth 0, and so is a text over 32 KiB, which is not read; of the prompt the first 64
 * KiB count.
 *
 * Not judged, because no rule can: whether a number of the data is said of what it was measured on,
 * and whether the advice is good. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "reward/fold.h"
#include "reward/insights_ground.h"
#include "reward/insights_words.h"
#include "reward/push_text.h"
#include "reward/push_words.h"
#include "reward/rewards.h"

enum { POINT_WORDS = 4, MAX_VERBS = 256, MAX_TRADE = 128 };
enum { MOST_BYTES = 1 << 15, PROMPT_BYTES = 1 << 16 };

enum {
    GRAMMAR = 1U << PUSH_PREPOSITIONS | 1U << PUSH_CONTRACTIONS | 1U << PUSH_ARTICLES |
              1U << PUSH_CONJUNCTIONS | 1U << PUSH_POSSESSIVES | 1U << PUSH_GRAMMAR
};

struct findings {
    struct push_text text, prompt;
    struct str folded; /* one folded word */
    bool *actions;     /* (text.n): the word tells somebody to do something */
    size_t next_token; /* of the points read so far */
    struct grounding ground;
    struct str domain; /* the row's words of the trade, folded, one after another */
    struct slice trade_list[MAX_TRADE];
    size_t n_trade;
    size_t words, distinct, points, action_points, action_words, verbs, trade_words, trade;
    size_t trade_wanted;
    double portuguese, sentence, original, triples, scale;
    bool no_memory;
};

static double ramp(double x, double zero, double one)
{
    return fmin(1, fmax(0, (x - zero) / (one - zero)));
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
        f->original = n4 ? ramp((double)fresh / (double)n4, 0.1, 0.6) : 1;
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

/* The words of the trade: the row's, else ours. */
static void read_trade(struct findings *f, const json_t *domain)
{
    size_t ends[MAX_TRADE], n = 0;
    const char *known;
    for (size_t i = 0;
         !json_array_size(domain) && n < MAX_TRADE && (known = insights_domain_word(i)); i++, n++)
        f->trade_list[n] = slice_of(known);
    f->n_trade = n;
    if (n)
        return;
    for (size_t i = 0; i < json_array_size(domain) && n < MAX_TRADE; i++) {
        const json_t *item = json_array_get(domain, i);
        fold_text(&f->domain, json_string_value(item), json_string_length(item));
        ends[n++] = f->domain.length;
    }
    f->no_memory |= f->domain.failed;
    for (size_t i = 0, start = 0; i < n && !f->no_memory; start = ends[i++])
        f->trade_list[i] = (struct slice){str_text(&f->domain) + start, ends[i] - start};
    f->n_trade = n;
}

/* Equal, or one the other with an s. */
static bool same_word(struct slice a, struct slice b)
{
    struct slice longer = a.length > b.length ? a : b, shorter = a.length > b.length ? b : a;
    if (shorter.length < 2 || longer.length - shorter.length > 1)
        return false;
    return memcmp(longer.data, shorter.data, shorter.length) == 0 &&
           (longer.length == shorter.length || longer.data[shorter.length] == 's');
}

/* `seen` marks the words of the list that were found. */
static bool is_trade(const struct findings *f, struct slice word, bool *seen)
{
    for (size_t i = 0; i < f->n_trade; i++)
        if (word.length && f->trade_list[i].length && f->trade_list[i].data[0] == word.data[0] &&
            same_word(word, f->trade_list[i]))
            return seen[i] = true;
    return false;
}

static void read_words(struct findings *f, const json_t *domain)
{
    bool seen[MAX_TRADE] = {false}, verbs[MAX_VERBS] = {false};
    read_trade(f, domain);
    double credit = 0;
    size_t letters = 0, grammar = 0;
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
            f->actions[i] = true;
            verbs[verb] = true;
        }
        f->trade_words += is_trade(f, word, seen);
    }
    for (size_t i = 0; i < MAX_TRADE; i++)
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

/* Something follows the word in its clause: "analise." tells nobody what. */
static bool has_object(const struct push_text *t, size_t i)
{
    for (; i + 1 < t->n && !t->tokens[i].ends_clause; i++)
        if (!t->tokens[i + 1].number && !(t->tokens[i + 1].lists & GRAMMAR))
            return true;
    return false;
}

/* A point ends at byte `end`: its words are those from f->next_token on that begin before it. */
static void end_point(struct findings *f, size_t end)
{
    size_t letters = 0;
    bool acts = false;
    for (; f->next_token < f->text.n && f->text.tokens[f->next_token].source < end;
         f->next_token++) {
        letters += !f->text.tokens[f->next_token].number;
        acts = acts || (f->actions[f->next_token] && has_object(&f->text, f->next_token));
    }
    f->points += letters >= POINT_WORDS;
    f->action_points += letters >= POINT_WORDS && acts;
}

/* Lines that begin with a mark are one point each; other lines have one a sentence. */
static void read_points(struct findings *f, const char *text, size_t length)
{
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
            end_point(f, i);
            if (c == '\n')
                begun = marked = false;
        }
    }
}

/* --- judging --- */

static double grounding(const struct findings *f)
{
    int claims = f->ground.beyond, grounded = 0;
    for (int i = 0; i < f->ground.n_claims; i++) {
        enum ground g = f->ground.claims[i].ground;
        claims += g != GROUND_EXCUSED && g != GROUND_TARGET;
        grounded += g == GROUND_GIVEN || g == GROUND_DERIVED;
    }
    if (f->ground.n_data == 0 && claims == 0)
        return NAN;
    if (grounded == 0)
        return 0;
    double share = (double)grounded / claims, wanted = f->ground.n_data < 2 ? 1 : 2;
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
    static const char *const grounds[] = {"none", "given", "derived", "excused", "target"};
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
    for (int i = 0; i < f->ground.n_claims; i++) {
        jw_object_begin(&w);
        jw_key(&w, "value");
        jw_double(&w, f->ground.claims[i].number.value);
        jw_key(&w, "percent");
        jw_bool(&w, f->ground.claims[i].number.percent);
        jw_key(&w, "ground");
        jw_text(&w, grounds[f->ground.claims[i].ground]);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
}

static size_t prompt_length(const struct reward_input *in)
{
    return in->prompt_length < PROMPT_BYTES ? in->prompt_length : PROMPT_BYTES;
}

/* false: the row's reference is not what it should be; out says so. */
static bool read_data(struct findings *f, const struct reward_input *in, struct reward_result *out)
{
    const json_t *domain = json_object_get(json_object_get(in->row, "reference"), "domain");
    bool list = !domain || json_is_null(domain) || json_is_array(domain);
    if (!list)
        reward_set_failed(out, "reference.domain is %s, expected a list of words",
                          json_type_name(domain));
    for (size_t i = 0; i < json_array_size(domain); i++)
        if (!json_is_string(json_array_get(domain, i))) {
            reward_set_failed(out, "reference.domain has %s as item %zu, expected a word",
                              json_type_name(json_array_get(domain, i)), i);
            return false;
        }
    return list && grounding_read_data(&f->ground, in, prompt_length(in), out);
}

/* false when memory is out. */
static bool read_all(struct findings *f, const struct reward_input *in, struct slice t)
{
    const json_t *reference = in->row ? json_object_get(in->row, "reference") : NULL;
    if (t.length > MOST_BYTES)
        t.length = 0;
    if (!push_text_read(&f->text, t.data, t.length) ||
        !push_text_read(&f->prompt, in->prompt, prompt_length(in)))
        return false;
    f->actions = mem_calloc(f->text.n + 1, sizeof *f->actions);
    if (!f->actions)
        return false;
    read_runs(f);
    if (!f->no_memory)
        read_words(f, json_object_get(reference, "domain"));
    if (!f->no_memory)
        read_points(f, t.data, t.length);
    if (!f->no_memory)
        grounding_read_claims(&f->ground, t.data, t.length);
    return !f->no_memory && !f->ground.no_memory;
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
        ok = read_all(f, in, reward_trim(str_text(&answer), answer.length));
        if (ok)
            judge(f, out);
        if (ok && explain_json)
            explain(explain_json, f);
    }
    if (f) {
        push_text_free(&f->text);
        push_text_free(&f->prompt);
        grounding_free(&f->ground);
        mem_free(f->actions);
        str_free(&f->folded);
        str_free(&f->domain);
    }
    mem_free(f);
    str_free(&answer);
    if (!ok)
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
}
