/* exact_answer.c: `exact_answer`, 1 when the completion's final answer is the row's, else 0.
 * Parameters:
 *
 *   kind         number, text, or auto (the default): a number where the row's answer is one
 *   field        where the row has it, "answer" by default: in its object "reference", else in the
 *                row itself. Text, a number, or a list of which any will do; of text with "####" in
 *                it what follows counts
 *   tolerance    numbers: |difference| / |truth| that is still right (default 0: equal)
 *
 * The answer of a completion is, thinking aside, the first of these that there is:
 *   the last \boxed{…}
 *   what follows the last "####", "Resposta:", "Answer:" (or "a resposta final é", …) on its line,
 *   or the next line when nothing follows
 *   the last number; for text the last line
 * Exactly one number is taken from it, by place and not by what would be right: of a box the only
 * one, of a line the first behind its last "=". So a list of guesses is one guess.
 *
 * Text is compared without case, accents, white space around signs and full stops; of a row's
 * single letter, "B", "B)", "(b) 42" and "letra B" are the same.
 *
 * `marked` (weight 0) tells whether box or line were there: an answer by the last number is right
 * as well, but harder to read for everybody else. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>
#include "base/check.h"
#include "base/mem.h"
#include "reward/answer_number.h"
#include "reward/fold.h"
#include "reward/rewards.h"

enum answer_kind { ANSWER_AUTO, ANSWER_NUMBER, ANSWER_TEXT, ANSWER_KINDS };
static const char *const kind_names[ANSWER_KINDS] = {"auto", "number", "text"};

/* An answer is short; what is longer is looked at to here. */
enum { LONGEST = 4096 };

struct exact_params {
    enum answer_kind kind;
    double tolerance;
    char *field;
};

/* --- parameters --- */

static int read_params(struct exact_params *p, const json_t *params, struct err *err)
{
    static const char *const known[] = {"kind", "field", "tolerance"};
    static const char where[] = "params of reward exact_answer";
    const char *kind = "auto", *field = "answer";
    int status = reward_params_check(params, known, ARRAY_LENGTH(known), "exact_answer", err);
    if (!status && json_is_object(params)) {
        if ((status = json_get_string(&kind, params, "kind", false, where, err)) ||
            (status = json_get_string(&field, params, "field", false, where, err)) ||
            (status = json_get_double(&p->tolerance, params, "tolerance", false, where, err)))
            return status;
    }
    if (status)
        return status;
    int at = 0;
    while (at < ANSWER_KINDS && strcmp(kind, kind_names[at]) != 0)
        at++;
    if (at == ANSWER_KINDS)
        return err_set(err, ERR_USAGE, where, "kind is \"%.40s\"; expected auto, number or text",
                       kind);
    if (!(p->tolerance >= 0 && p->tolerance < 1))
        return err_set(err, ERR_USAGE, where, "tolerance is %g, expected a share from 0 to under 1",
                       p->tolerance);
    if (!field[0])
        return err_set(err, ERR_USAGE, where, "field is empty");
    p->kind = (enum answer_kind)at;
    p->field = mem_strdup(field);
    return p->field ? ERR_NONE : err_no_memory(err, where, strlen(field));
}

void exact_answer_release(void *state)
{
    struct exact_params *p = state;
    mem_free(p->field);
    mem_free(p);
}

int exact_answer_configure(void **state, const json_t *params, struct err *err)
{
    struct exact_params *p = mem_calloc(1, sizeof *p);
    if (!p)
        return err_no_memory(err, "reward exact_answer", sizeof *p);
    int status = read_params(p, params, err);
    if (status)
        exact_answer_release(p);
    else
        *state = p;
    return status;
}

/* --- finding the answer --- */

enum place { FROM_BOX, FROM_LINE, FROM_END, FROM_NOWHERE };
static const char *const place_names[] = {"box", "line", "end", "nowhere"};

struct answer {
    enum place place;
    struct slice text; /* in the completion */
};

static struct slice part(struct slice t, size_t from, size_t to)
{
    return (struct slice){t.data + from, (to < from + LONGEST ? to : from + LONGEST) - from};
}

static size_t line_end(struct slice t, size_t at)
{
    const char *end = at < t.length ? memchr(t.data + at, '\n', t.length - at) : NULL;
    return end ? (size_t)(end - t.data) : t.length;
}

/* What stands in the last \boxed{…}; an unclosed one goes to the end of its line. */
static bool find_box(struct answer *a, struct slice t)
{
    static const char box[] = "\\boxed";
    enum { N = sizeof box - 1 };
    const char *found = NULL, *end = t.data + t.length;
    for (const char *at = t.data; at && (at = memmem(at, (size_t)(end - at), box, N)); at += N)
        found = at;
    if (!found)
        return false;
    size_t at = (size_t)(found - t.data) + N, depth = 0, stop = line_end(t, at);
    while (at < t.length && t.data[at] == ' ')
        at++;
    for (size_t i = at; i < t.length && i < at + LONGEST; i++) {
        depth += t.data[i] == '{';
        if (t.data[i] == '}' && (depth <= 1)) {
            stop = i + (depth == 1);
            break;
        }
        depth -= t.data[i] == '}';
    }
    *a = (struct answer){FROM_BOX, part(t, at, stop)};
    return true;
}

/* Where what a mark announces begins, or 0: a colon, "é", "is" or "=" soon behind it, or nothing
 * but signs on its line (a heading). */
static size_t behind_mark(struct slice t, size_t at)
{
    enum { SOON = 32 };
    static const char *const verbs[] = {"\xC3\xA9 ", "\xC3\x89 ", "is ", "e: ", "seria ", "será "};
    size_t far = t.length - at > SOON ? at + SOON : t.length;
    size_t end = line_end((struct slice){t.data, far}, at);
    bool whole = end < far || far == t.length; /* to the end of the line */
    bool bare = true;
    for (size_t i = at; i < end; i++) {
        if (t.data[i] == ':' || t.data[i] == '=')
            return i + 1;
        for (size_t k = 0; k < ARRAY_LENGTH(verbs); k++) {
            size_t n = strlen(verbs[k]);
            if (i > at && t.data[i - 1] == ' ' && end - i >= n &&
                strncasecmp(t.data + i, verbs[k], n) == 0)
                return i + n;
        }
        bare = bare && strchr(" *#_.\r", t.data[i]) && t.data[i];
    }
    return bare && whole ? end : 0;
}

/* Whether a mark stands at i: its end, else 0. Of a word the case does not count, and it begins
 * one. */
static size_t mark_at(struct slice t, size_t i)
{
    static const char *const words[] = {"resposta", "answer"};
    if (t.data[i] == '#')
        return t.length - i >= 4 && memcmp(t.data + i, "####", 4) == 0 ? i + 4 : 0;
    char c = (char)(t.data[i] | 0x20), before = (char)(i > 0 ? t.data[i - 1] | 0x20 : ' ');
    if ((c != 'r' && c != 'a') || (before >= 'a' && before <= 'z'))
        return 0;
    for (size_t k = 0; k < ARRAY_LENGTH(words); k++) {
        size_t n = strlen(words[k]);
        if (t.length - i >= n && strncasecmp(t.data + i, words[k], n) == 0)
            return behind_mark(t, i + n);
    }
    return 0;
}

static bool is_blank(struct slice t, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (!strchr(" \t\r*#_$", t.data[i]) || !t.data[i])
            return false;
    return true;
}

static bool find_line(struct answer *a, struct slice t)
{
    size_t found = 0;
    for (size_t i = 0; i < t.length; i++) {
        size_t end = mark_at(t, i);
        if (end) {
            found = end;
            i = end > i ? end - 1 : i;
        }
    }
    if (!found)
        return false;
    size_t end = line_end(t, found);
    while (end < t.length && is_blank(t, found, end)) { /* the next line that says something */
        found = end + 1;
        end = line_end(t, found);
    }
    *a = (struct answer){FROM_LINE, part(t, found, end)};
    return true;
}

/* The last line that is not blank, or what is left of it from `LONGEST` bytes before its end. */
static void find_end(struct answer *a, struct slice t)
{
    size_t end = t.length, start;
    while (end > 0 && strchr(" \t\r\n", t.data[end - 1]) && t.data[end - 1])
        end--;
    for (start = end; start > 0 && end - start < LONGEST && t.data[start - 1] != '\n';)
        start--;
    *a = (struct answer){end ? FROM_END : FROM_NOWHERE, part(t, start, end)};
}

/* The text around the last digit, enough of it to hold a number. */
static void find_last_digits(struct answer *a, struct slice t)
{
    enum { BEFORE = 256, BEHIND = 32 };
    size_t last = t.length;
    while (last > 0 && !(t.data[last - 1] >= '0' && t.data[last - 1] <= '9'))
        last--;
    size_t start = last > BEFORE ? last - BEFORE : 0,
           end = t.length - last > BEHIND ? last + BEHIND : t.length;
    while (start > 0 && start < last && t.data[start - 1] >= '0' && t.data[start - 1] <= '9')
        start++; /* not in the middle of one */
    *a = (struct answer){last ? FROM_END : FROM_NOWHERE, part(t, start, end)};
}

static void find_answer(struct answer *a, struct slice t, bool number)
{
    if (find_box(a, t) || find_line(a, t))
        return;
    if (number)
        find_last_digits(a, t);
    else
        find_end(a, t);
}

/* --- comparing --- */

struct judging {
    struct str got, truth, scratch; /* simplified, normalised */
    bool no_memory;
};

/* The one number that an answer gives. */
static bool number_of(struct answer_number *out, const struct answer *a, struct slice t)
{
    size_t at = 0;
    struct answer_number other;
    for (size_t i = 0; i < t.length && a->place != FROM_END; i++)
        if (t.data[i] == '=' && i + 1 < t.length)
            at = i + 1;
    if (at && !answer_number_next(&other, (struct slice){t.data, t.length}, &(size_t){at}))
        at = 0;
    if (!answer_number_next(out, t, &at))
        return false;
    while (a->place == FROM_BOX && answer_number_next(&other, t, &at))
        if (!answer_numbers_equal(&other, out, 0))
            return false;
    while (a->place == FROM_END && answer_number_next(&other, t, &at))
        *out = other;
    return true;
}

/* Lower case, no accents; spaces only between words; no full stops at the ends. */
static void normalise(struct str *out, struct slice t)
{
    bool space = false, word = false;
    while (t.length && strchr(" \t\r\n.,;:!?'*_#", t.data[t.length - 1]) && t.data[t.length - 1])
        t.length--;
    for (size_t i = 0; i < t.length;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(t.data + i, t.length - i, &c);
        bool blank = c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0;
        utf8proc_category_t kind = utf8proc_category(c);
        bool letter = (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO) ||
                      kind == UTF8PROC_CATEGORY_ND;
        bool mark = kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME;
        if (space && letter && word)
            str_putc(out, ' ');
        if (letter)
            fold_text(out, t.data + i, n);
        else if (!blank && !mark && c != '\'' && c != '*')
            str_append(out, t.data + i, n);
        word = letter || (blank && word) || (mark && word);
        space = blank;
        i += n;
    }
}

/* "b)42" or "(b)42" or "letra b" where "b" is the truth. */
static bool same_choice(struct slice got, char letter)
{
    static const char *const words[] = {"letra ", "alternativa ", "opcao ", "option ", "item "};
    for (size_t k = 0; k < ARRAY_LENGTH(words); k++) {
        size_t n = strlen(words[k]);
        if (got.length > n && memcmp(got.data, words[k], n) == 0) {
            got.data += n;
            got.length -= n;
        }
    }
    if (got.length && got.data[0] == '(')
        got.data++, got.length--;
    return got.length && got.data[0] == letter && (got.length == 1 || strchr(").:-", got.data[1]));
}

static bool same_text(struct judging *j, struct slice got, struct slice truth)
{
    j->scratch.length = 0;
    normalise(&j->scratch, truth);
    size_t n = j->scratch.length;
    normalise(&j->scratch, got);
    j->no_memory |= j->scratch.failed;
    if (n == 0 || j->scratch.failed)
        return false;
    struct slice a = {j->scratch.data + n, j->scratch.length - n}, b = {j->scratch.data, n};
    if (a.length == b.length && memcmp(a.data, b.data, n) == 0)
        return true;
    return n == 1 && b.data[0] >= 'a' && b.data[0] <= 'z' && same_choice(a, b.data[0]);
}

/* The truth as text: what follows "####" where a solution is given. false: no answer at all. */
static bool truth_text(struct judging *j, const json_t *truth)
{
    str_clear(&j->truth);
    if (json_is_integer(truth))
        str_printf(&j->truth, "%lld", (long long)json_integer_value(truth));
    else if (json_is_real(truth))
        str_printf(&j->truth, "%.17g", json_real_value(truth));
    else if (json_is_boolean(truth))
        str_puts(&j->truth, json_is_true(truth) ? "sim" : "não");
    else if (json_is_string(truth)) {
        struct slice t = {json_string_value(truth), json_string_length(truth)};
        struct answer a = {.text = t};
        if (memmem(t.data, t.length, "####", 4))
            find_line(&a, t);
        a.text = reward_trim(a.text.data, a.text.length);
        answer_simplify(&j->truth, a.text.data, a.text.length);
    }
    j->no_memory |= j->truth.failed;
    return j->truth.length > 0;
}

/* "x = 2" is the number 2. */
static struct slice behind_name(struct slice t)
{
    size_t i = 1;
    while (i < t.length && t.data[i] == ' ')
        i++;
    bool named =
        i < t.length && t.data[i] == '=' && (t.data[0] | 0x20) >= 'a' && (t.data[0] | 0x20) <= 'z';
    return named ? (struct slice){t.data + i + 1, t.length - i - 1} : t;
}

static bool matches(struct judging *j, const struct exact_params *p, const json_t *truth,
                    struct slice completion, struct answer *a, struct reward_result *out)
{
    struct answer_number wanted, got;
    if (!truth_text(j, truth)) {
        if (!j->no_memory)
            reward_set_failed(out, "the row's \"%.60s\" is %s%s, expected an answer", p->field,
                              json_type_name(truth), json_is_string(truth) ? " without one" : "");
        return false;
    }
    struct slice text = {str_text(&j->truth), j->truth.length};
    bool number = p->kind != ANSWER_TEXT && answer_number_read(&wanted, behind_name(text));
    if (p->kind == ANSWER_NUMBER && !number) {
        reward_set_failed(out, "the row's \"%.60s\" is \"%.60s\", no number", p->field,
                          str_text(&j->truth));
        return false;
    }
    find_answer(a, completion, number);
    str_clear(&j->got);
    answer_simplify(&j->got, a->text.data, a->text.length);
    j->no_memory |= j->got.failed;
    struct slice simple = {str_text(&j->got), j->got.length};
    if (number)
        return number_of(&got, a, simple) && answer_numbers_equal(&got, &wanted, p->tolerance);
    return same_text(j, simple, text);
}

static void explain(struct str *out, const struct answer *a, const struct judging *j)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "place");
    jw_text(&w, place_names[a->place]);
    jw_key(&w, "answer");
    jw_string(&w, str_text(&j->got), j->got.length);
    jw_key(&w, "expected");
    jw_string(&w, str_text(&j->truth), j->truth.length);
    jw_object_end(&w);
}

static void judge(struct judging *j, const struct exact_params *p, const json_t *truth,
                  struct slice text, struct reward_result *out, struct str *explain_json)
{
    struct answer a = {.place = FROM_NOWHERE};
    bool right = false;
    if (json_is_array(truth)) {
        for (size_t i = 0; i < json_array_size(truth) && !right && out->status == REWARD_OK; i++)
            right = matches(j, p, json_array_get(truth, i), text, &a, out);
        if (json_array_size(truth) == 0)
            reward_set_failed(out, "the row's \"%.60s\" is an empty list", p->field);
    } else {
        right = matches(j, p, truth, text, &a, out);
    }
    if (out->status != REWARD_OK || j->no_memory)
        return;
    out->components[EXACT_ANSWER_CORRECT] = right;
    out->components[EXACT_ANSWER_MARKED] = a.place == FROM_BOX || a.place == FROM_LINE;
    if (explain_json)
        explain(explain_json, &a, j);
}

void exact_answer_evaluate(const void *state, const struct reward_input *in,
                           struct reward_result *out, struct str *explain_json)
{
    const struct exact_params *p = state;
    const json_t *truth = json_object_get(json_object_get(in->row, "reference"), p->field);
    if (!truth)
        truth = json_object_get(in->row, p->field);
    if (!truth || json_is_null(truth)) {
        out->status = REWARD_NOT_APPLICABLE;
        snprintf(out->reason, sizeof out->reason,
                 "neither the row nor its object \"reference\" has \"%.100s\"", p->field);
        return;
    }
    struct judging j = {0};
    struct str text = {0};
    strip_think(&text, in->completion, in->completion_length);
    j.no_memory = text.failed;
    if (!j.no_memory)
        judge(&j, p, truth, (struct slice){str_text(&text), text.length}, out, explain_json);
    if (j.no_memory)
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
    str_free(&text);
    str_free(&j.got);
    str_free(&j.truth);
    str_free(&j.scratch);
}
