/* push.c: a push notification, judged by rules that can each be read off the text.
 *
 * What a shop wants: at most 120 characters as a phone shows them, on one line, in Portuguese,
 * about what the prompt is about without copying it, said to a reader and not in office language,
 * ready to send (no [nome], no "Aqui está sua notificação:").
 *
 *   length          1 up to 120 characters, then (120/n)²
 *   one_line        1 / lines that are not blank
 *   portuguese      mean credit of the words (push_text.h), 0 at 0.3 and 1 at 0.85
 *   sentence        share of grammar words (full from 0.2 to 0.7; without any, half when there
 *                   is a verb such as "chegou"), less what cannot follow one
 *                   another ("de do", "corra para."), 0.85 of it without a verb
 *   original        share of word triples that are not in the prompt, full at 0.6
 *   on_topic        words of the prompt's subject taken up: 0.7 for one, 1 for two; absent when it
 *                   has none
 *   varied          share of different words, 0 at 0.35 and 1 at 0.75
 *   informal        1 without words of office language, 0.3 with one, 0 with more
 *   reader          1 with você, seu, an imperative; 0.5 with only an exclamation or emoji
 *   no_placeholder  1 or 0
 *   clean           ready to send: 1, 0.4, 0.15, 0 for that many of: talk about the push, a label,
 *                   markup, quotes around it, a character four times, capitals, a crowd of emoji,
 *                   what a phone does not show (control and invisible characters, heaps of marks)
 *   group_variety   1 − mean likeness to the other completions of the prompt (push_variety.h);
 *                   absent when it stands alone, as are all components that are not there: the
 *                   score is the weighted mean of the others, and a lone good push is worth 1
 *
 *   fits            1 or 0: one line of up to 120 characters with a word in it. Weight 0 and not
 *                   scaled: a plain fact to watch while the others are optimized
 *
 * Alone, most of these are won by saying nothing, or by noise: a blank page is short and informal.
 * So each is scaled by how much of a message there is:
 *
 *   amount = min(1, Σ credit of the different words / 5)                    scales all
 *   form   = amount · Π (floor + (1 − floor)·component)                 scales those of form
 *
 * over the components before scaling; the floors stand in judge(): 0 for portuguese, 1 (no say) for
 * reader and group_variety, about a half for the rest. Those of language (portuguese, sentence,
 * original) are scaled by amount alone. So what is no Portuguese sentence of its own earns little
 * by being short, and a good sentence with a placeholder in it is not nearly a good push. All
 * factors are smooth or in small steps: a weak model sees a slope from wherever it stands. An empty
 * text is worth exactly 0, and so is one over 16 KiB, a hundred times the limit: it is not read at
 * all. Of the prompt the first 64 KiB count.
 *
 * Not judged, because no rule can: whether it is true, and whether it is good. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "reward/push_text.h"
#include "reward/push_variety.h"
#include "reward/push_words.h"
#include "reward/rewards.h"

enum { MOST_BYTES = 1 << 14, PROMPT_BYTES = 1 << 16 };
enum { CHARACTERS = 120, ENOUGH_WORDS = 5, TOPIC_WORDS = 2, MANY_SIGNS = 6, SHOUT_LETTERS = 12 };

enum {
    PREPOSITION = 1U << PUSH_PREPOSITIONS,
    CONTRACTION = 1U << PUSH_CONTRACTIONS,
    ARTICLE = 1U << PUSH_ARTICLES,
    CONJUNCTION = 1U << PUSH_CONJUNCTIONS,
    POSSESSIVE = 1U << PUSH_POSSESSIVES,
    OPEN = PREPOSITION | CONTRACTION | ARTICLE,
    GRAMMAR = OPEN | CONJUNCTION | POSSESSIVE | 1U << PUSH_GRAMMAR
};

struct hashes {
    uint64_t *values; /* sorted, each once */
    size_t n;
};

struct findings {
    struct push_text text, prompt;
    struct hashes prompt_words, prompt_triples, topics;
    size_t characters, words, grammar, misfits, triples, new_triples, distinct;
    size_t topics_wanted, topics_found, formal, flaws;
    const char *placeholder; /* what gave it away; NULL: none */
    const char *flaw_names[8];
    bool verb, told, reader; /* told: a verb that is no mere call to act */
    double credit, distinct_credit, amount, form;
    struct push_variety variety;
};

/* --- sets of hashes --- */

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool hashes_new(struct hashes *h, size_t most)
{
    *h = (struct hashes){0};
    size_t size;
    h->values = mem_mul(&size, most + 1, sizeof *h->values) ? mem_alloc(size) : NULL;
    return h->values != NULL;
}

static void hashes_sort(struct hashes *h)
{
    qsort(h->values, h->n, sizeof *h->values, compare_hashes);
    size_t kept = 0;
    for (size_t i = 0; i < h->n; i++)
        if (i == 0 || h->values[i] != h->values[i - 1])
            h->values[kept++] = h->values[i];
    h->n = kept;
}

static bool hashes_have(const struct hashes *h, uint64_t value)
{
    return h->n && bsearch(&value, h->values, h->n, sizeof value, compare_hashes);
}

static uint64_t triple_at(const struct push_text *t, size_t i)
{
    uint64_t three[3] = {t->tokens[i].hash, t->tokens[i + 1].hash, t->tokens[i + 2].hash};
    return hash_bytes(three, sizeof three, 0);
}

/* A word of the prompt that says what the push is about. */
static bool is_subject(const struct push_token *token)
{
    unsigned no = GRAMMAR | 1U << PUSH_READER_WORDS | 1U << PUSH_FORMAL | 1U << PUSH_INSTRUCTIONS |
                  1U << PUSH_META;
    return token->stem && !(token->lists & no);
}

static bool read_prompt(struct findings *f, const struct reward_input *in)
{
    const struct push_text *p = &f->prompt;
    size_t length = in->prompt_length < PROMPT_BYTES ? in->prompt_length : PROMPT_BYTES;
    if (!push_text_read(&f->prompt, in->prompt, length) || !hashes_new(&f->prompt_words, p->n) ||
        !hashes_new(&f->prompt_triples, p->n) || !hashes_new(&f->topics, p->n))
        return false;
    for (size_t i = 0; i < p->n; i++) {
        f->prompt_words.values[f->prompt_words.n++] = p->tokens[i].hash;
        if (i + 2 < p->n)
            f->prompt_triples.values[f->prompt_triples.n++] = triple_at(p, i);
        if (is_subject(&p->tokens[i]))
            f->topics.values[f->topics.n++] = p->tokens[i].stem;
    }
    hashes_sort(&f->prompt_words);
    hashes_sort(&f->prompt_triples);
    hashes_sort(&f->topics);
    return true;
}

/* --- language --- */

static double word_credit(const struct findings *f, size_t i)
{
    const struct push_token *token = &f->text.tokens[i];
    if (token->number)
        return 0;
    if (!(token->lists & 1U << PUSH_FOREIGN) && hashes_have(&f->prompt_words, token->hash))
        return 1; /* the prompt's own words: product names, brands */
    return push_word_credit(&f->text, i);
}

static bool judge_words(struct findings *f)
{
    const struct push_text *t = &f->text;
    struct hashes distinct;
    if (!hashes_new(&distinct, t->n))
        return false;
    for (size_t i = 0; i < t->n; i++) {
        if (t->tokens[i].number)
            continue;
        f->words++;
        f->credit += word_credit(f, i);
        distinct.values[distinct.n++] = t->tokens[i].hash;
        f->formal += t->tokens[i].lists >> PUSH_FORMAL & 1;
        f->verb = f->verb || t->tokens[i].lists & (1U << PUSH_VERBS | 1U << PUSH_READER_WORDS);
        f->told = f->told || t->tokens[i].lists & 1U << PUSH_VERBS;
        f->reader = f->reader || t->tokens[i].lists & 1U << PUSH_READER_WORDS;
    }
    hashes_sort(&distinct);
    f->distinct = distinct.n;
    mem_free(distinct.values);
    /* Equal words have equal credit, so few different words scale the sum down. */
    f->distinct_credit = f->words ? f->credit * (double)f->distinct / (double)f->words : 0;
    return true;
}

/* é, está, tem */
static bool is_auxiliary(unsigned lists)
{
    return lists & 1U << PUSH_GRAMMAR && lists & 1U << PUSH_VERBS;
}

/* Whether word i cannot be followed by what follows it. Each rule has its rare exceptions ("a
 * chance é sua de novo"), which is why misfits are weighed and not forbidden. */
static bool is_misfit(const struct push_text *t, size_t i)
{
    const struct push_token *token = &t->tokens[i];
    if (token->ends_clause)
        return token->lists & (OPEN | CONJUNCTION) || is_auxiliary(token->lists);
    if (i + 1 == t->n)
        return false;
    unsigned next = t->tokens[i + 1].lists;
    struct slice word = push_token_text(t, i + 1);
    if (token->lists & (CONTRACTION | ARTICLE | POSSESSIVE) && next & OPEN)
        return true;
    if (token->lists & PREPOSITION && next & (PREPOSITION | CONTRACTION))
        return true;
    if (token->lists & (OPEN | POSSESSIVE) && (is_auxiliary(next) || next & 1U << PUSH_IMPERATIVES))
        return true;
    if (token->lists & (OPEN | POSSESSIVE) && next & CONJUNCTION)
        return !slice_equals(word, "que") && !slice_equals(word, "se");
    return word.length > 3 && token->hash == t->tokens[i + 1].hash;
}

static void judge_sentence(struct findings *f)
{
    for (size_t i = 0; i < f->text.n; i++) {
        f->grammar += (f->text.tokens[i].lists & GRAMMAR) != 0;
        f->misfits += is_misfit(&f->text, i);
    }
}

static void judge_triples(struct findings *f)
{
    const struct push_text *t = &f->text;
    if (t->n < 3) { /* too short for triples: words */
        f->triples = t->n;
        for (size_t i = 0; i < t->n; i++)
            f->new_triples += !hashes_have(&f->prompt_words, t->tokens[i].hash);
        return;
    }
    f->triples = t->n - 2;
    for (size_t i = 0; i < f->triples; i++)
        f->new_triples += !hashes_have(&f->prompt_triples, triple_at(t, i));
}

static bool judge_topic(struct findings *f)
{
    struct hashes stems;
    if (!hashes_new(&stems, f->text.n))
        return false;
    for (size_t i = 0; i < f->text.n; i++)
        if (f->text.tokens[i].stem)
            stems.values[stems.n++] = f->text.tokens[i].stem;
    hashes_sort(&stems);
    for (size_t i = 0; i < f->topics.n; i++)
        f->topics_found += hashes_have(&stems, f->topics.values[i]);
    f->topics_wanted = f->topics.n < TOPIC_WORDS ? f->topics.n : TOPIC_WORDS;
    mem_free(stems.values);
    return true;
}

/* --- phrases and signs --- */

/* `phrases` in lower case with a space before and after each; the first one found, or NULL. */
static const char *find_phrase(const struct push_text *t, const char *const *phrases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memmem(t->lowered.data, t->lowered.length, phrases[i], strlen(phrases[i])))
            return phrases[i];
    return NULL;
}

static void judge_formal(struct findings *f)
{
    static const char *const phrases[] = {
        " caro cliente ", " cara cliente ",   " caros clientes ", " por meio desta ",
        " desde já ",     " temos o prazer ", " à disposição ",   " venho por ",
        " é com prazer ", " vimos por ",      " a seu dispor ",   " o senhor ",
    };
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        f->formal += find_phrase(&f->text, &phrases[i], 1) != NULL;
}

static bool is_letter(char c)
{
    return c & 0x80 || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Whether the text after an opening bracket is something to be filled in: a closing bracket within
 * 40 bytes and anything between, in braces even nothing. Round ones count only around a word such
 * as "nome", angles only around letters ("<3" is a heart). */
static bool is_slot(const char *text, size_t length, char open)
{
    static const char *const names[] = {"nome", "produto", "cliente", "loja", "link",
                                        "data", "valor",   "preço",   "marca"};
    char close = (char)(open == '(' ? ')' : open + 2);
    const char *end = memchr(text, close, length < 40 ? length : 40);
    if (!end || (end == text && open != '{'))
        return false;
    size_t n = (size_t)(end - text);
    bool letter = false;
    for (size_t i = 0; i < n; i++)
        letter = letter || is_letter(text[i]);
    if (open != '(')
        return letter || open != '<';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (n >= strlen(names[i]) && strncasecmp(text, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* "%s", "%d ", "%nome%", "X%": what a percent sign at i stands for; it needs a number before it. */
static bool is_format(struct slice text, size_t i)
{
    const char *rest = text.data + i + 1;
    size_t left = text.length - i - 1, n = 0;
    while (n < left && (is_letter(rest[n]) || rest[n] == '_'))
        n++;
    bool lone =
        i > 0 && (text.data[i - 1] | 0x20) == 'x' && (i == 1 || !is_letter(text.data[i - 2]));
    if (n > 0 && n < left && rest[n] == '%')
        return true;
    return lone || (n == 1 && (rest[0] == 's' || rest[0] == 'd'));
}

/* "$nome", "R$ X", "R$ XX,XX". */
static bool is_dollar_slot(const char *rest, size_t left)
{
    size_t at = left && rest[0] == ' ', n = at;
    while (n < left && (rest[n] == 'X' || rest[n] == 'x'))
        n++;
    return (left && is_letter(rest[0])) || (n > at && (n == left || !is_letter(rest[n])));
}

static const char *placeholder_at(struct slice text, size_t i)
{
    const char *rest = text.data + i + 1;
    size_t left = text.length - i - 1;
    switch (text.data[i]) {
    case '[':
        return is_slot(rest, left, '[') ? "[…]" : NULL;
    case '{':
        return is_slot(rest, left, '{') ? "{…}" : NULL;
    case '<':
        return is_slot(rest, left, '<') ? "<…>" : NULL;
    case '(':
        return is_slot(rest, left, '(') ? "(…)" : NULL;
    case '_':
        if (left >= 2 && rest[0] == '_' && rest[1] == '_')
            return "___";
        return i > 0 && left && is_letter(text.data[i - 1]) && is_letter(rest[0]) ? "a_b" : NULL;
    case '%':
        return is_format(text, i) ? "%s" : NULL;
    case '$':
        return is_dollar_slot(rest, left) ? "R$ X" : NULL;
    default:
        return left >= 2 && memcmp(text.data + i, "\xE3\x80\x90", 3) == 0 ? "【…】" : NULL;
    }
}

static void find_placeholder(struct findings *f, struct slice text)
{
    static const char *const phrases[] = {
        " nome do cliente ",
        " nome do produto ",
        " nome da loja ",
        " nome da marca ",
        " nome da cliente ",
        " inserir ",
        " insira ",
        " lorem ",
        " ipsum ",
        " link aqui ",
        " seu link ",
        " xx ",
        " xxx ",
        " xxxx ",
        " xxxxx ",
        " fulano ",
        " fulana ",
        " ciclano ",
        " x reais ",
        " tbd ",
        " placeholder ",
    };
    f->placeholder = find_phrase(&f->text, phrases, sizeof phrases / sizeof *phrases);
    for (size_t i = 0; i < text.length && !f->placeholder; i++)
        f->placeholder = placeholder_at(text, i);
}

static void flaw(struct findings *f, bool found, const char *name)
{
    if (found)
        f->flaw_names[f->flaws++] = name;
}

static bool starts_with_any(struct slice text, const char *const *starts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text.length >= strlen(starts[i]) &&
            memcmp(text.data, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static bool has_label(const struct push_text *t)
{
    static const char *const labels[] = {
        "produto", "motivo",  "título", "mensagem",    "texto", "resposta",  "assunto", "opção",
        "versão",  "exemplo", "loja",   "notificação", "push",  "assistant", "user",    "cliente"};
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; t->tokens[i].colon && k < sizeof labels / sizeof *labels; k++)
            if (slice_equals(push_token_text(t, i), labels[k]))
                return true;
    return false;
}

static void find_flaws(struct findings *f, struct slice text)
{
    static const char *const talk[] = {
        " aqui está ",
        " aqui estão ",
        " aqui vai ",
        " aqui tem um exemplo ",
        " com certeza ",
        " claro aqui ",
        " segue a ",
        " segue uma ",
        " segue um ",
        " here is ",
        " here's ",
        " sure ",
        " modelo de linguagem ",
        " não posso escrever ",
        " language model ",
    };
    static const char *const quotes[] = {"\"", "'", "“", "”", "«", "‘"};
    static const char *const markup[] = {"- ", "* ", "#", "> ", "1. ", "1) ", "•"};
    const struct push_text *t = &f->text;
    bool meta = false;
    for (size_t i = 0; i < t->n && !meta; i++)
        meta = t->tokens[i].lists & 1U << PUSH_META;
    flaw(f, meta || find_phrase(t, talk, sizeof talk / sizeof *talk), "talks about the push");
    flaw(f, has_label(t), "label");
    flaw(f, starts_with_any(text, quotes, sizeof quotes / sizeof *quotes), "quoted");
    flaw(f,
         starts_with_any(text, markup, sizeof markup / sizeof *markup) ||
             memmem(text.data, text.length, "**", 2) || memmem(text.data, text.length, "##", 2) ||
             memchr(text.data, '`', text.length),
         "markup");
    flaw(f, t->longest > 3, "one character many times");
    flaw(f, t->letters >= SHOUT_LETTERS && t->capitals * 10 > t->letters * 6, "capitals");
    flaw(f, t->signs > MANY_SIGNS, "many emoji");
    flaw(f, t->broken, "control characters");
}

/* --- the sum --- */

static double ramp(double x, double zero, double one)
{
    double y = (x - zero) / (one - zero);
    return y > 1 ? 1 : y > 0 ? y : 0;
}

static double gate(double x, double floor_value)
{
    return floor_value + (1 - floor_value) * x;
}

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

/* The components before scaling. */
static void raw_components(const struct findings *f, double *c)
{
    static const double clean[] = {1, 0.4, 0.15, 0}, informal[] = {1, 0.3, 0},
                        on_topic[] = {0, 0.7, 1};
    size_t found = f->topics_found < f->topics_wanted ? f->topics_found : TOPIC_WORDS;
    double over = (double)CHARACTERS / (double)(f->characters ? f->characters : 1);
    double grammar = share(f->grammar, f->text.n);
    double held = f->told ? gate(ramp(grammar, 0, 0.2), 0.5) : ramp(grammar, 0, 0.2);
    double order = 1 - 2.5 * share(f->misfits, f->text.n);
    c[PUSH_LENGTH] = f->characters <= CHARACTERS ? 1 : over * over;
    c[PUSH_ONE_LINE] = 1 / (double)(f->text.lines ? f->text.lines : 1);
    c[PUSH_PORTUGUESE] = f->words ? ramp(f->credit / (double)f->words, 0.3, 0.85) : 0;
    c[PUSH_SENTENCE] = fmin(held, ramp(grammar, 1, 0.7)) * fmax(order, 0) * (f->verb ? 1 : 0.85);
    c[PUSH_ORIGINAL] = ramp(share(f->new_triples, f->triples), 0, 0.6);
    c[PUSH_ON_TOPIC] = f->topics_wanted ? on_topic[found] : (double)NAN;
    c[PUSH_VARIED] = ramp(share(f->distinct, f->words), 0.35, 0.75);
    c[PUSH_INFORMAL] = informal[f->formal < 2 ? f->formal : 2];
    c[PUSH_READER] = f->reader ? 1 : f->text.exclamations || f->text.signs ? 0.5 : 0;
    c[PUSH_NO_PLACEHOLDER] = f->placeholder ? 0 : 1;
    c[PUSH_CLEAN] = clean[f->flaws < 3 ? f->flaws : 3];
    c[PUSH_GROUP_VARIETY] = f->variety.variety;
    c[PUSH_FITS] = f->words > 0 && f->characters <= CHARACTERS && f->text.lines == 1;
}

static void judge(struct findings *f, struct reward_result *out)
{
    /* What a component leaves of the form when it is 0. */
    static const double floors[PUSH_FITS] = {
        [PUSH_LENGTH] = 0.5,         [PUSH_ONE_LINE] = 0.5, [PUSH_PORTUGUESE] = 0,
        [PUSH_SENTENCE] = 0.4,       [PUSH_ORIGINAL] = 0.3, [PUSH_ON_TOPIC] = 0.6,
        [PUSH_VARIED] = 0.5,         [PUSH_INFORMAL] = 0.5, [PUSH_READER] = 1,
        [PUSH_NO_PLACEHOLDER] = 0.4, [PUSH_CLEAN] = 0.5,    [PUSH_GROUP_VARIETY] = 1};
    double *c = out->components;
    raw_components(f, c);
    f->amount = fmin(1, f->distinct_credit / ENOUGH_WORDS);
    f->form = f->amount;
    for (int i = 0; i < PUSH_FITS; i++)
        if (!isnan(c[i]))
            f->form *= gate(c[i], floors[i]);
    const struct reward_component *weights = reward_find("push")->components;
    double total = 0, present = 0;
    for (int i = 0; i < PUSH_FITS; i++) {
        bool of_language = i == PUSH_PORTUGUESE || i == PUSH_SENTENCE || i == PUSH_ORIGINAL;
        if (isnan(c[i]))
            continue;
        c[i] *= of_language ? f->amount : f->form;
        total += weights[i].weight * c[i];
        present += weights[i].weight;
    }
    out->score = fmin(1, total / present);
}

/* --- explanation --- */

static void write_words(struct json_writer *w, const struct findings *f, bool foreign)
{
    enum { MOST = 20 };
    jw_array_begin(w);
    for (size_t i = 0, n = 0; i < f->text.n && n < MOST; i++) {
        double credit = word_credit(f, i);
        if (f->text.tokens[i].number || (foreign ? credit != 0 : credit == 0 || credit == 1))
            continue;
        struct slice word = push_token_text(&f->text, i);
        jw_string(w, word.data, word.length);
        n++;
    }
    jw_array_end(w);
}

static void write_count(struct json_writer *w, const char *key, size_t n)
{
    jw_key(w, key);
    jw_int(w, (long long)n);
}

static void write_number(struct json_writer *w, const char *key, double x)
{
    jw_key(w, key);
    jw_double(w, x);
}

static void explain(struct str *out, const struct findings *f)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    write_count(&w, "characters", f->characters);
    write_count(&w, "lines", f->text.lines);
    write_count(&w, "words", f->words);
    write_count(&w, "different_words", f->distinct);
    write_number(&w, "word_credit", f->words ? f->credit / (double)f->words : 0);
    jw_key(&w, "not_portuguese");
    write_words(&w, f, true);
    jw_key(&w, "unknown");
    write_words(&w, f, false);
    write_number(&w, "grammar_share", share(f->grammar, f->text.n));
    write_count(&w, "misfits", f->misfits);
    jw_key(&w, "verb");
    jw_bool(&w, f->verb);
    write_number(&w, "new_triples", share(f->new_triples, f->triples));
    write_count(&w, "topic_words_wanted", f->topics_wanted);
    write_count(&w, "topic_words_found", f->topics_found);
    write_count(&w, "formal", f->formal);
    write_count(&w, "near_duplicates", (size_t)f->variety.twins);
    jw_key(&w, "speaks_to_reader");
    jw_bool(&w, f->reader);
    jw_key(&w, "placeholder");
    if (f->placeholder)
        jw_text(&w, f->placeholder);
    else
        jw_null(&w);
    jw_key(&w, "flaws");
    jw_array_begin(&w);
    for (size_t i = 0; i < f->flaws; i++)
        jw_text(&w, f->flaw_names[i]);
    jw_array_end(&w);
    write_number(&w, "amount", f->amount);
    write_number(&w, "form", f->form);
    jw_object_end(&w);
}

static bool read_all(struct findings *f, const struct reward_input *in, struct slice text)
{
    if (text.length > MOST_BYTES) {
        f->characters = text.length;
        f->variety.variety = (double)NAN;
        return true;
    }
    if (!push_text_read(&f->text, text.data, text.length) || !read_prompt(f, in) ||
        !judge_words(f) || !judge_topic(f) || !push_variety_read(&f->variety, in))
        return false;
    f->characters = reward_characters(text.data, text.length);
    judge_sentence(f);
    judge_triples(f);
    judge_formal(f);
    find_placeholder(f, text);
    find_flaws(f, text);
    return true;
}

void push_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                   struct str *explain_json)
{
    (void)state;
    struct str answer = {0};
    struct findings f = {0};
    strip_think(&answer, in->completion, in->completion_length);
    if (answer.failed || !read_all(&f, in, reward_trim(str_text(&answer), answer.length))) {
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
    } else {
        judge(&f, out);
        if (explain_json)
            explain(explain_json, &f);
    }
    push_text_free(&f.text);
    push_text_free(&f.prompt);
    mem_free(f.prompt_words.values);
    mem_free(f.prompt_triples.values);
    mem_free(f.topics.values);
    str_free(&answer);
}
