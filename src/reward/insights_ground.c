/* insights_ground.c: see insights_ground.h.
 *
 * A claim is GIVEN when it is a number of the data of the same kind, as far as its digits tell:
 * within half of its last digit ("R$ 36,5 mil" is 36.540), a whole one behind "cerca de", "mais
 * de", "quase" and the like. A share may be written "15,3%", "15,3 por cento" or "0,153".
 *
 * It is DERIVED when one step of arithmetic leads to it:
 *
 *   sum, difference, mean          of two of a kind: the same kind
 *   a/b, |a − b|/b                 of two of a kind: percent; a/b also as "vezes" or with decimals
 *   100% − p                       percent
 *   p% of b, (100% − p) of b       the kind of b
 *   count · price, price / count   price
 *   price / price                  count
 *
 * With many data nearly every short number can be had so. Therefore a derivation counts only while
 * it says something: of the numbers that could have been written with the same last digit between
 * half and twice the claim, no more than a tenth may be derivable. "20%" of 480 after 600 is one of
 * two in thirty, and stands; "5%" of a page of figures is nothing.
 *
 * No claims: marks of a list, ordinals, years and dates, bare integers up to 3, counts of what the
 * text is made of ("4 ações"). A number that an action verb of its sentence asks for ("reduza para
 * 5%", "cupom de 10%") is a target: it was not said to be so. It is one when it is round (two
 * digits that are not 0), twice a text, for else a crowd of numbers would be excused by a verb
 * before each; or when it is of the data. Neither earns anything: "reduza 480, crie 600" says
 * nothing of them.
 *
 * Shares in words ("trinta e cinco por cento") are claims as well; "metade" and "o dobro" are not
 * looked at. */
#include "reward/insights_ground.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "reward/fold.h"
#include "reward/insights_words.h"
#include "reward/rewards.h"

enum { MOST_TARGETS = 2, WORD = 32 };

/* Share of the numbers like a claim that may be derivable. */
static const double CHANCE = 0.1;

/* --- what a number is, by the text around it --- */

struct place {
    const char *text;
    size_t length, start, end; /* of the number */
};

/* A letter of a word, or a byte of a character beyond ASCII. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c & 0x80;
}

static void fold_into(struct grounding *g, char word[WORD], const char *text, size_t length)
{
    str_clear(&g->folded);
    fold_text(&g->folded, text, length);
    g->no_memory = g->no_memory || g->folded.failed;
    size_t n = g->folded.length < WORD ? g->folded.length : 0;
    memcpy(word, str_text(&g->folded), n);
    word[n] = 0;
}

/* The folded word that ends before *at (spaces skipped), *at moved to its start; "" where there is
 * none, as behind a comma. */
static void word_before(struct grounding *g, char word[WORD], const char *text, size_t *at)
{
    size_t end = *at;
    while (end > 0 && text[end - 1] == ' ')
        end--;
    size_t start = end;
    while (start > 0 && end - start < WORD - 1 && is_letter(text[start - 1]))
        start--;
    fold_into(g, word, text + start, end - start);
    *at = start;
}

static void word_behind(struct grounding *g, char word[WORD], const struct place *p)
{
    size_t start = p->end;
    while (start < p->length && p->text[start] == ' ')
        start++;
    size_t end = start;
    while (end < p->length && end - start < WORD - 1 && is_letter(p->text[end]))
        end++;
    fold_into(g, word, p->text + start, end - start);
}

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}
#define ONE_OF(word, words) is_one_of(word, words, ARRAY_LENGTH(words))

static bool starts(const struct place *p, const char *what)
{
    size_t n = strlen(what);
    return p->length - p->end >= n && memcmp(p->text + p->end, what, n) == 0;
}

static char byte_behind(const struct place *p, size_t i)
{
    return p->end + i < p->length ? p->text[p->end + i] : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* 12/03/2024, 2024-03-12 */
static bool is_date_part(const struct place *p)
{
    char before = p->start > 0 ? p->text[p->start - 1] : 0, first = p->text[p->start];
    if (byte_behind(p, 0) == '/' && is_digit(byte_behind(p, 1)))
        return true;
    if (before == '/' && p->start > 1 && is_digit(p->text[p->start - 2]))
        return true;
    bool year = p->end - p->start == 4 && is_digit(first);
    if (year && byte_behind(p, 0) == '-' && is_digit(byte_behind(p, 1)) &&
        is_digit(byte_behind(p, 2)))
        return true;
    return first == '-' && is_digit(before) && p->end - p->start == 3;
}

/* "em 2024", "de 2024 e": four digits that no noun follows. */
static bool is_year(struct grounding *g, const struct ptbr_number *n, const struct place *p)
{
    enum { SHORT_WORD = 3 };
    char word[WORD];
    if (p->end - p->start != 4 || !n->integer || n->value < 1900 || n->value > 2099)
        return false;
    word_behind(g, word, p);
    return strlen(word) <= SHORT_WORD;
}

/* A mark of a list at the beginning of a line, an ordinal, a date, a count of the text's parts. */
static bool is_formal(struct grounding *g, const struct ptbr_number *n, const struct place *p)
{
    static const char *const parts[] = {
        "acoes",     "pontos",  "insights", "passos",     "medidas",      "recomendacoes",
        "sugestoes", "etapas",  "frases",   "palavras",   "linhas",       "paragrafos",
        "topicos",   "itens",   "dicas",    "conclusoes", "prioridades",  "caracteres",
        "bullets",   "frentes", "ideias",   "motivos",    "oportunidades"};
    char word[WORD];
    if (n->percent || n->currency || !n->integer)
        return false;
    bool line = true;
    for (size_t i = p->start; i > 0 && p->text[i - 1] != '\n' && line; i--)
        line = strchr(" \t*#(-", p->text[i - 1]) && p->text[i - 1];
    if (line && (byte_behind(p, 0) == '.' || byte_behind(p, 0) == ')') &&
        !is_digit(byte_behind(p, 1)))
        return true;
    if (starts(p, "º") || starts(p, "ª") || starts(p, "°") || is_date_part(p) || is_year(g, n, p))
        return true;
    word_behind(g, word, p);
    return ONE_OF(word, parts);
}

static enum ground_kind kind_of(const struct ptbr_number *n, const struct place *p)
{
    if (n->percent || starts(p, " pontos percentuais") || starts(p, " p.p.") || starts(p, " pp"))
        return GROUND_PERCENT;
    if (n->currency)
        return GROUND_CURRENCY;
    if (byte_behind(p, 0) == 'x' || byte_behind(p, 0) == 'X' || starts(p, " vezes"))
        return GROUND_TIMES;
    return GROUND_PLAIN;
}

/* --- the data --- */

static void add_datum(struct grounding *g, struct ground_datum d)
{
    for (int i = 0; i < g->n_data; i++)
        if (g->data[i].value == d.value && (g->data[i].kind == d.kind || d.untold))
            return;
    if (g->n_data < GROUND_MAX_DATA)
        g->data[g->n_data++] = d;
}

static void read_prompt(struct grounding *g, const char *text, size_t length)
{
    struct ptbr_number n;
    size_t at = 0, start;
    while (g->n_data < GROUND_MAX_DATA && ptbr_number_next(&n, text, length, &at, &start)) {
        struct place p = {text, length, start, at};
        if (is_formal(g, &n, &p))
            continue;
        enum ground_kind kind = kind_of(&n, &p);
        bool cents = kind == GROUND_PLAIN && fabs(n.unit - 0.01) < 1e-9;
        add_datum(g, (struct ground_datum){fabs(n.value), n.unit,
                                           kind == GROUND_TIMES ? GROUND_PLAIN : kind, cents});
    }
}

static void put(struct grounding *g, enum ground_kind kind, double value)
{
    struct ground_values *v = &g->derived[kind];
    if (!(value > 0) || !isfinite(value) || g->no_memory)
        return;
    if (v->n == v->capacity) {
        size_t capacity = v->capacity ? 2 * v->capacity : 64, size;
        double *values =
            mem_mul(&size, capacity, sizeof *values) ? mem_realloc(v->values, size) : NULL;
        g->no_memory = g->no_memory || !values;
        if (!values)
            return;
        v->values = values;
        v->capacity = capacity;
    }
    v->values[v->n++] = value;
}

/* What two of a kind give. a ≥ b. */
static void put_alike(struct grounding *g, enum ground_kind kind, double a, double b)
{
    enum { MOST = 1000 }; /* percent */
    put(g, kind, a + b);
    put(g, kind, a - b);
    put(g, kind, (a + b) / 2);
    if (b == 0)
        return;
    if (kind != GROUND_PERCENT) {
        put(g, GROUND_PERCENT, 100 * b / a);
        if (100 * a / b <= MOST)
            put(g, GROUND_PERCENT, 100 * a / b);
    }
    put(g, GROUND_PERCENT, 100 * (a - b) / a);
    if (100 * (a - b) / b <= MOST)
        put(g, GROUND_PERCENT, 100 * (a - b) / b);
    put(g, GROUND_TIMES, a / b);
    if (kind == GROUND_CURRENCY)
        put(g, GROUND_PLAIN, a / b);
}

/* What a share, a count or a price gives with another kind. */
static void put_unlike(struct grounding *g, const struct ground_datum *a,
                       const struct ground_datum *b)
{
    if (a->kind == GROUND_PERCENT && a->value <= 100) {
        put(g, b->kind, a->value / 100 * b->value);
        put(g, b->kind, (100 - a->value) / 100 * b->value);
    } else if (a->kind == GROUND_PLAIN && b->kind == GROUND_CURRENCY) {
        put(g, GROUND_CURRENCY, a->value * b->value);
        if (a->value > 0)
            put(g, GROUND_CURRENCY, b->value / a->value);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void derive(struct grounding *g)
{
    for (int i = 0; i < g->n_data; i++) {
        const struct ground_datum *a = &g->data[i];
        if (a->kind == GROUND_PERCENT && a->value < 100)
            put(g, GROUND_PERCENT, 100 - a->value);
        for (int k = 0; k < g->n_data; k++) {
            const struct ground_datum *b = &g->data[k];
            bool alike = a->kind == b->kind;
            if (alike && i < k)
                put_alike(g, a->kind, fmax(a->value, b->value), fmin(a->value, b->value));
            else if (!alike)
                put_unlike(g, a, b);
            bool priced = alike && a->kind == GROUND_PLAIN && a->unit >= 1 && b->untold;
            if (priced) /* a price without its sign */
                put(g, GROUND_CURRENCY, a->value * b->value);
        }
    }
    for (int k = 0; k < GROUND_KINDS; k++) {
        struct ground_values *v = &g->derived[k];
        size_t kept = 0;
        if (v->n)
            qsort(v->values, v->n, sizeof *v->values, compare);
        for (size_t i = 0; i < v->n; i++)
            if (kept == 0 || v->values[i] > v->values[kept - 1] * (1 + 1e-12))
                v->values[kept++] = v->values[i];
        v->n = kept;
    }
}

bool grounding_read_data(struct grounding *g, const struct reward_input *in, size_t length,
                         struct reward_result *out)
{
    const json_t *reference;
    if (!reward_reference(&reference, in, out))
        return false;
    const json_t *numbers = json_object_get(reference, "numbers");
    const char *key;
    json_t *value;
    if (numbers && !json_is_null(numbers) && !json_is_object(numbers)) {
        reward_set_failed(out, "reference.numbers is %s, expected an object of numbers",
                          json_type_name(numbers));
        return false;
    }
    read_prompt(g, in->prompt, length);
    json_object_foreach((json_t *)(uintptr_t)numbers, key, value)
    {
        if (!json_is_number(value)) {
            reward_set_failed(out, "reference.numbers has %s under \"%.60s\", expected a number",
                              json_type_name(value), key);
            return false;
        }
        add_datum(g, (struct ground_datum){.value = fabs(json_number_value(value)),
                                           .unit = 1,
                                           .kind = GROUND_PLAIN,
                                           .untold = true});
    }
    derive(g);
    return true;
}

/* --- the claims --- */

static bool near(double value, double claimed, double unit)
{
    return fabs(claimed - value) <= unit + 1e-9 * fabs(value);
}

static bool is_given(const struct grounding *g, const struct ground_claim *c, double tolerance)
{
    double v = fabs(c->number.value), share = c->number.unit;
    for (int i = 0; i < g->n_data; i++) {
        const struct ground_datum *d = &g->data[i];
        bool same = c->kind == GROUND_PLAIN || c->kind == d->kind || d->untold ||
                    (c->kind == GROUND_TIMES && d->kind == GROUND_PLAIN);
        if (same && near(d->value, v, tolerance))
            return true;
        if (c->kind == GROUND_PLAIN && share <= 0.01 && v < 1 && d->kind == GROUND_PERCENT &&
            near(d->value / 100, v, tolerance))
            return true;
        if (c->kind == GROUND_PERCENT && d->kind == GROUND_PLAIN && d->value < 1 &&
            d->unit <= 0.01 && near(d->value * 100, v, tolerance))
            return true;
    }
    return false;
}

/* The first of sorted values that is not under x. */
static size_t first_from(const struct ground_values *v, double x)
{
    size_t low = 0, high = v->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (v->values[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Derivable numbers of a kind, as the claim's last digit shows them, from half to twice the claim.
 * *hit: one of them is the claim. */
static double count_like(const struct ground_values *v, double claimed, double unit, bool *hit)
{
    double count = 0, last = -1;
    for (size_t i = first_from(v, claimed / 2); i < v->n && v->values[i] <= 2 * claimed; i++) {
        double shown = round(v->values[i] / unit);
        count += shown != last;
        last = shown;
        *hit = *hit || near(v->values[i], claimed, 0.5 * unit);
    }
    return count;
}

static bool is_derived(const struct grounding *g, const struct ground_claim *c)
{
    double v = fabs(c->number.value), unit = c->number.unit, like = 0;
    bool hit = false, decimals = unit < 1;
    if (v == 0)
        return false;
    like += count_like(&g->derived[c->kind], v, unit, &hit);
    if (c->kind == GROUND_PLAIN && decimals) {
        like += count_like(&g->derived[GROUND_TIMES], v, unit, &hit);
        like += count_like(&g->derived[GROUND_CURRENCY], v, unit, &hit);
    }
    return hit && like * unit <= CHANCE * 1.5 * v;
}

/* "cerca de 36.500": zeros at the end are not said to be exact. */
static double tolerance_of(struct grounding *g, const struct ground_claim *c, const struct place *p)
{
    static const char *const about[] = {"cerca",    "mais",    "menos", "acima",  "abaixo",
                                        "torno",    "perto",   "quase", "apenas", "aproximadamente",
                                        "superior", "inferior"};
    char word[WORD];
    size_t at = p->start;
    double unit = c->number.unit, v = fabs(c->number.value);
    word_before(g, word, p->text, &at);
    if (strcmp(word, "de") == 0 || strcmp(word, "a") == 0)
        word_before(g, word, p->text, &at);
    if (!ONE_OF(word, about))
        return 0.5 * unit;
    while (v > 0 && fmod(v, 10 * unit) == 0 && 10 * unit <= v / 10)
        unit *= 10;
    return unit;
}

/* Whether at most two digits of it are not 0. */
static bool is_round(double v)
{
    while (v >= 100)
        v /= 10;
    return fabs(v - round(v)) < 1e-9;
}

/* An action verb of the sentence asks for this number. */
static bool is_target(struct grounding *g, const struct place *p)
{
    static const char *const toward[] = {"em", "para", "ate", "com"};
    static const char *const offers[] = {"desconto", "descontos", "cupom", "meta",   "cashback",
                                         "bonus",    "limite",    "teto",  "minimo", "maximo",
                                         "aumento",  "reducao",   "queda", "alvo"};
    enum { FAR = 12 };
    char word[WORD];
    size_t at = p->start;
    int verb;
    word_before(g, word, p->text, &at);
    bool asked = ONE_OF(word, toward) || insights_action(slice_of(word), &verb);
    bool acts = insights_action(slice_of(word), &verb);
    if (strcmp(word, "de") == 0) {
        word_before(g, word, p->text, &at);
        asked = ONE_OF(word, offers);
    }
    for (int i = 0; asked && !acts && word[0] && i < FAR; i++) {
        word_before(g, word, p->text, &at);
        acts = insights_action(slice_of(word), &verb);
    }
    return asked && acts;
}

static enum ground ground_of(struct grounding *g, const struct ground_claim *c,
                             const struct place *p)
{
    const struct ptbr_number *n = &c->number;
    if (is_formal(g, n, p) || (c->kind == GROUND_PLAIN && n->integer && fabs(n->value) <= 3))
        return GROUND_EXCUSED;
    bool asked = is_target(g, p);
    if (is_given(g, c, tolerance_of(g, c, p)))
        return asked ? GROUND_TARGET : GROUND_GIVEN;
    if (is_derived(g, c))
        return asked ? GROUND_TARGET : GROUND_DERIVED;
    if (asked && is_round(fabs(n->value)) && g->n_targets < MOST_TARGETS) {
        g->n_targets++;
        return GROUND_TARGET;
    }
    return GROUND_NONE;
}

/* "trinta e cinco" before *at, which moves to its start: up to 100; 0: no such words. */
static double words_before(struct grounding *g, const char *text, size_t *at)
{
    static const char *const units[] = {"um",        "dois",      "tres",    "quatro",   "cinco",
                                        "seis",      "sete",      "oito",    "nove",     "dez",
                                        "onze",      "doze",      "treze",   "quatorze", "quinze",
                                        "dezesseis", "dezessete", "dezoito", "dezenove"};
    static const char *const tens[] = {"vinte",   "trinta",  "quarenta", "cinquenta", "sessenta",
                                       "setenta", "oitenta", "noventa",  "cem"};
    char word[WORD];
    double value = 0;
    size_t start = *at;
    word_before(g, word, text, &start);
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
        if (strcmp(word, units[i]) == 0)
            value = (double)(i + 1);
    if (value > 0 && value < 10) {
        *at = start;
        word_before(g, word, text, &start);
        if (strcmp(word, "e") != 0)
            return value;
        word_before(g, word, text, &start);
    }
    for (size_t i = 0; value < 10 && i < ARRAY_LENGTH(tens); i++)
        if (strcmp(word, tens[i]) == 0) {
            *at = start;
            return value + 10 * (double)(i + 2);
        }
    *at = value >= 10 ? start : *at;
    return value;
}

/* The claims whose numbers are words. */
static void read_word_claims(struct grounding *g, const char *text, size_t length)
{
    static const char share[] = " por cento";
    const char *end = text + length, *found = text;
    while (g->n_claims < GROUND_MAX_CLAIMS &&
           (found = memmem(found, (size_t)(end - found), share, sizeof share - 1))) {
        size_t start = (size_t)(found - text), behind = start + sizeof share - 1;
        double value = words_before(g, text, &start);
        found += sizeof share - 1;
        if (value == 0)
            continue;
        struct place p = {text, length, start, behind};
        struct ground_claim *c = &g->claims[g->n_claims++];
        *c = (struct ground_claim){
            .number = {.value = value, .unit = 1, .percent = true, .integer = true},
            .kind = GROUND_PERCENT};
        c->ground = ground_of(g, c, &p);
    }
}

void grounding_read_claims(struct grounding *g, const char *text, size_t length)
{
    struct ptbr_number n;
    size_t at = 0, start;
    while (ptbr_number_next(&n, text, length, &at, &start)) {
        struct place p = {text, length, start, at};
        enum ground_kind kind = kind_of(&n, &p);
        bool twice = false;
        for (int i = 0; i < g->n_claims && !twice; i++)
            twice = g->claims[i].number.value == n.value && g->claims[i].kind == kind &&
                    g->claims[i].ground != GROUND_EXCUSED;
        if (twice)
            continue;
        if (g->n_claims == GROUND_MAX_CLAIMS) {
            g->beyond++;
            continue;
        }
        struct ground_claim *c = &g->claims[g->n_claims++];
        *c = (struct ground_claim){.number = n, .kind = kind};
        c->ground = ground_of(g, c, &p);
    }
    read_word_claims(g, text, length);
}

void grounding_free(struct grounding *g)
{
    for (int k = 0; k < GROUND_KINDS; k++)
        mem_free(g->derived[k].values);
    str_free(&g->folded);
}
