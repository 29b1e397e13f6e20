/* json_repair.c: where the JSON is in a text, and whether it needs repair at all; see
 * json_repair.h. The repairs themselves are in json_reader.c and json_string.c.
 *
 * The search knows a beginning when it sees one: a brace with a key and a colon behind it (or a
 * closing brace), a bracket with a value behind it. So a text may talk of {produto} and [1] before
 * it comes to the point. From the beginning a scan that knows only strings and brackets finds where
 * it would end if it were valid, and what jansson accepts there is taken as it stands: valid JSON
 * is never touched by a heuristic. Only the rest goes to the forgiving reader.
 *
 * Every stage walks forward through the text once, with looks ahead of bounded or amortised length,
 * and none goes back by more than it has read since the last time: linear. */
#include "reward/json_repair.h"
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "reward/json_reader.h"
#include "reward/rewards.h"

const char *json_repair_name(enum json_repair_kind kind)
{
    static const char *const names[] = {
        [JSON_QUOTES] = "quotes",
        [JSON_ESCAPED_QUOTES] = "escaped_quotes",
        [JSON_UNQUOTED_KEYS] = "unquoted_keys",
        [JSON_UNQUOTED_STRINGS] = "unquoted_strings",
        [JSON_COMMAS] = "commas",
        [JSON_COLONS] = "colons",
        [JSON_BRACKETS] = "brackets",
        [JSON_TRUNCATED] = "truncated",
        [JSON_COMMENTS] = "comments",
        [JSON_LITERALS] = "literals",
        [JSON_NUMBERS] = "numbers",
        [JSON_NUMBER_RANGE] = "number_range",
        [JSON_MISSING_VALUES] = "missing_values",
        [JSON_CONTROL_CHARACTERS] = "control_characters",
        [JSON_ESCAPES] = "escapes",
        [JSON_ENCODING] = "encoding",
        [JSON_DUPLICATE_KEYS] = "duplicate_keys",
        [JSON_CONCATENATED] = "concatenated",
        [JSON_STRAY_TEXT] = "stray_text",
        [JSON_TEXT_AROUND] = "text_around",
        [JSON_ENCODED_STRING] = "encoded_string",
        [JSON_SIGNS] = "signs",
        [JSON_WRAPPED] = "wrapped",
        [JSON_TOO_LARGE] = "too_large",
    };
    return (int)kind >= 0 && kind < JSON_REPAIR_KINDS ? names[kind] : "unknown";
}

const char *json_place_name(enum json_place place)
{
    static const char *const names[] = {"nowhere", "whole", "fence", "prose"};
    return names[place];
}

/* A part of the text to look in. spaces: behind it, of a string that is cut off there. */
struct region {
    const char *text;
    size_t length, spaces;
};

static struct json_reader reader_of(struct region where, size_t at)
{
    return (struct json_reader){.text = where.text, .length = where.length, .at = at};
}

/* --- beginnings --- */

static bool digit_or_minus(int c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

/* [1] is a footnote, [1, 2] a list. */
static bool several_numbers(const struct json_reader *r, size_t at)
{
    size_t i = at;
    while (i - at < 40 && i < r->length && strchr("-+.0123456789eE", r->text[i]))
        i++;
    return json_byte(r, json_skip(r, i, NULL)) == ',';
}

/* {total 3} at its first word. */
static bool lost_colon_at(const struct json_reader *r, size_t at)
{
    size_t end = at;
    while (json_is_word_byte(json_byte(r, end)) || json_byte(r, end) >= 0x80)
        end++;
    return end > at && json_byte(r, end) == ' ' && json_whole_value_at(r, json_skip(r, end, NULL));
}

/* {nome completo: "Ana"} at its first word: a key of two to four words with a value behind it. */
static bool long_key_at(const struct json_reader *r, size_t at)
{
    enum { LONGEST = 60 };
    size_t bytes, i = at;
    for (int words = 0; i - at < LONGEST; i++) {
        int c = json_byte(r, i);
        words += c == ' ';
        if (words > 3 || !(c == ' ' || json_is_word_byte(c) || c >= 0x80))
            break;
    }
    if (i == at || json_byte(r, i) != ':')
        return false;
    i = json_skip(r, i + 1, NULL);
    int c = json_byte(r, i);
    return json_quote_at(r, i, &bytes) || c == '[' || c == '{' || json_whole_value_at(r, i);
}

/* A key as JSON has it, of whatever signs and length ("" too), and its colon. Linear over all
 * calls: each begins at a quote that opens a string and ends at the next one that could. */
static bool strict_key_at(const struct json_reader *r, size_t at)
{
    if (json_byte(r, at) != '"')
        return false;
    for (at++; at < r->length && r->text[at] != '"'; at++)
        at += r->text[at] == '\\';
    for (at++; at < r->length && r->text[at] && strchr(" \t\r\n", r->text[at]);)
        at++;
    return json_byte(r, at) == ':';
}

/* What stands at `at` begins an object or a list. sure: prose is around, be strict. */
static bool begins(struct region where, size_t at, bool sure)
{
    size_t bytes;
    struct json_reader r = reader_of(where, at);
    int c = json_sign_at(&r, at, &bytes);
    if (c != '{' && c != '[' && (sure || c != '('))
        return false;
    size_t next = json_skip(&r, at + bytes, NULL);
    int first = json_sign_at(&r, next, &bytes);
    for (int i = 0; first == ',' && !sure && i < 4; i++) { /* [,1] */
        next = json_skip(&r, next + bytes, NULL);
        first = json_sign_at(&r, next, &bytes);
    }
    r.other_colons = !sure;
    if (!sure && c == '{' && lost_colon_at(&r, next))
        return true;
    if (c == '{')
        return first == '}' || json_key_at(&r, next, false) || strict_key_at(&r, next) ||
               long_key_at(&r, next) ||
               (!sure && (json_member_at(&r, next, false) || json_bullet_at(&r, next) ||
                          first == ':' || (first == '{' && json_key_at(&r, next + bytes, false))));
    if (first == '{')
        return !sure || begins(where, next, false);
    if (c == '(')
        return first == '[' || first == '(';
    bool value = first == '[' || json_quote_at(&r, next, &bytes) || json_escaped_quote_at(&r, next);
    if (sure)
        return value || (digit_or_minus(first) && several_numbers(&r, next));
    return value || digit_or_minus(first) || first == ']' || first < 0 || strchr("tfnTFN*", first);
}

/* Where valid JSON that begins at `at` with a bracket would end: behind the bracket that closes it.
 * 0: nowhere. */
static size_t strict_end(struct region where, size_t at)
{
    int depth = 0, values = 0;
    bool string = false;
    for (size_t i = at; i < where.length; i++) {
        char c = where.text[i];
        if (string) {
            i += c == '\\';
            string = c != '"';
            continue;
        }
        string = c == '"';
        depth += c == '{' || c == '[';
        values += c == '{' || c == '[' || c == ',';
        if (depth > JSON_REPAIR_DEPTH || values > JSON_REPAIR_VALUES)
            return 0;
        if ((c == '}' || c == ']') && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* --- reading at a beginning --- */

/* Valid JSON as it stands. false: memory is out. */
static bool read_strict(json_t **value, unsigned *repairs, const char *text, size_t length)
{
    struct err err = {0};
    *value =
        json_read(text, length, JSON_UNIQUE_KEYS | JSON_ANY_VALUE | JSON_NUL_ALLOWED, "", &err);
    if (*value || err.code == ERR_MACHINE)
        return *value != NULL;
    *value = json_read(text, length, JSON_ANY_VALUE | JSON_NUL_ALLOWED, "", &err);
    if (*value)
        *repairs |= 1U << JSON_DUPLICATE_KEYS;
    return *value || err.code != ERR_MACHINE;
}

/* What stands behind the value in its region. */
static unsigned rest_of(struct region where, size_t at, bool prose)
{
    struct json_reader r = reader_of(where, at);
    size_t i = json_skip(&r, at, NULL);
    bool brackets = false;
    while (json_byte(&r, i) == '}' || json_byte(&r, i) == ']') {
        brackets = true;
        i = json_skip(&r, i + 1, NULL);
    }
    unsigned found = brackets ? 1U << JSON_BRACKETS : 0;
    if (json_byte(&r, i) == ',')
        i = json_skip(&r, i + 1, NULL);
    if (i < r.length && begins(where, i, true))
        found |= 1U << JSON_CONCATENATED;
    else if (i < r.length && !prose)
        found |= 1U << JSON_TEXT_AROUND;
    else if (i > at && reward_trim(where.text + at, i - at).length && !brackets)
        found |= 1U << JSON_COMMENTS;
    return found;
}

/* Whether the object that ends at `end` goes on: {"a": 1}, "b": 2} */
static bool ends_too_early(struct region where, size_t end)
{
    struct json_reader r = reader_of(where, end);
    size_t i = json_skip(&r, end, NULL);
    return json_byte(&r, i) == ',' && json_key_at(&r, i + 1, true);
}

static bool read_forgiving(struct json_repaired *out, struct region where, size_t at, size_t *end,
                           bool missing_brace)
{
    struct json_reader r = reader_of(where, at);
    r.length += where.spaces;
    out->value = missing_brace ? json_reader_object(&r, true) : json_reader_value(&r, JSON_IN_ROOT);
    out->repairs |= r.repairs;
    *end = r.at < where.length ? r.at : where.length;
    if (r.too_large && !r.no_memory) {
        out->repairs = 1U << JSON_TOO_LARGE;
        *end = where.length;
    }
    bool ok = !r.no_memory && !r.buffer.failed;
    str_free(&r.buffer);
    return ok;
}

/* Reads what begins at `at`, and the next one if this is an empty object. */
static bool read_from(struct json_repaired *out, struct region where, size_t at, bool missing_brace)
{
    enum { EMPTY = 16 }; /* a scan to the end for each of many would not be linear */
    bool prose = out->place == JSON_PROSE;
    for (int i = 0; i < EMPTY; i++) {
        size_t end = missing_brace ? 0 : strict_end(where, at);
        json_decref(out->value);
        out->value = NULL;
        if (end && !ends_too_early(where, end) &&
            !read_strict(&out->value, &out->repairs, where.text + at, end - at))
            return false;
        if (!out->value && !read_forgiving(out, where, at, &end, missing_brace))
            return false;
        unsigned rest = out->value ? rest_of(where, end, prose) : 0;
        out->repairs |= rest;
        if (!(rest & 1U << JSON_CONCATENATED) || !json_is_object(out->value) ||
            json_object_size(out->value))
            return true;
        at = end;
        while (at < where.length && !begins(where, at, true))
            at++;
        if (at == where.length || where.text[at] != '{')
            return true;
    }
    return true;
}

/* --- the search --- */

/* The fences of a text. none: of each mark, a length of which no line closes one from here on: what
 * was looked for once to the end of the text is not looked for again. */
struct fences {
    struct region all;
    size_t at, none[2];
};

/* The length of the run of three or more fence marks at `at`, or 0. */
static size_t marks_at(struct region all, size_t at)
{
    size_t n = 0;
    char c = all.text[at];
    if (c != '`' && c != '~')
        return 0;
    while (at + n < all.length && all.text[at + n] == c)
        n++;
    return n >= 3 ? n : 0;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t next_marks(struct region all, size_t at, char mark)
{
    for (; at < all.length; at++)
        if ((!mark || all.text[at] == mark) && marks_at(all, at))
            return at;
    return all.length;
}

/* A run of n marks at `at` closes a fence: alone on its line, or right behind a bracket. Others are
 * text: {"code": "```py"}. */
static bool closes(struct region all, size_t at, size_t n)
{
    size_t before = at;
    while (before > 0 && blank(all.text[before - 1]))
        before--;
    char c = before > 0 ? all.text[before - 1] : '\n',
         after = at + n < all.length ? all.text[at + n] : '\n';
    bool word = (after >= 'a' && after <= 'z') || (after >= 'A' && after <= 'Z');
    return c == '}' || c == ']' || (c == '\n' && !word && after != '"');
}

/* The end of what a fence of n marks holds that begins at `from`; *behind its closing marks. */
static size_t fence_end(struct fences *f, size_t from, size_t n, bool lines, size_t *behind)
{
    char mark = f->all.text[from];
    size_t i, k = mark == '~', first = f->all.length, length;
    from += n;
    for (i = from; (i = next_marks(f->all, i, mark)) < f->all.length; i += length) {
        length = marks_at(f->all, i);
        first = i < first ? i : first;
        if (!lines || (f->none[k] && f->none[k] <= n) || (length >= n && closes(f->all, i, length)))
            break;
    }
    if (i == f->all.length) {
        f->none[k] = n;
        i = first;
    }
    *behind = i + (i < f->all.length ? marks_at(f->all, i) : 0);
    return i;
}

/* The next fence with something in it; length 0: no more. */
static struct region next_fence(struct fences *f)
{
    const char *t = f->all.text;
    size_t open;
    while ((open = next_marks(f->all, f->at, 0)) < f->all.length) {
        size_t n = marks_at(f->all, open), from = open + n;
        while (from < f->all.length &&
               ((t[from] >= 'a' && t[from] <= 'z') || (t[from] >= 'A' && t[from] <= 'Z') ||
                (t[from] >= '0' && t[from] <= '9')))
            from++; /* its language */
        size_t line = from;
        while (line < f->all.length && (blank(t[line]) || t[line] == '\r'))
            line++;
        bool lines = line < f->all.length && t[line] == '\n';
        size_t end = fence_end(f, open, n, lines, &f->at);
        struct slice inside = reward_trim(t + from, end > from ? end - from : 0);
        if (inside.length)
            return (struct region){inside.data, inside.length,
                                   end < f->all.length ? 0 : f->all.spaces};
    }
    return (struct region){0};
}

/* A key in quotes at the very beginning, at most behind a bracket of the wrong kind: an object
 * whose { is missing. Where its first key is. */
static bool lacks_brace(struct region where, size_t *from)
{
    struct json_reader r = reader_of(where, 0);
    size_t bytes, at = where.length && strchr("(<", where.text[0]) ? 1 : 0;
    *from = at;
    return (json_quote_at(&r, at, &bytes) || json_escaped_quote_at(&r, at)) &&
           json_key_at(&r, at, true);
}

/* Valid JSON goes on past marks in one of its strings ({"a": "[]```"}) and ends before others: the
 * fence to there, else as it was. Looks to the end of the text, so for one fence only. false:
 * memory is out. */
static bool past_marks(struct region *fence, size_t from, struct region all)
{
    struct region rest = {fence->text, (size_t)(all.text + all.length - fence->text), 0};
    size_t end = strict_end(rest, from), at = end;
    while (at < rest.length && rest.text[at] && strchr(" \t\r\n", rest.text[at]))
        at++;
    if (end <= fence->length || at == rest.length || !marks_at(rest, at))
        return true;
    json_t *value;
    unsigned unused = 0;
    bool ok = read_strict(&value, &unused, rest.text + from, end - from);
    if (value)
        *fence = (struct region){rest.text, end, 0};
    json_decref(value);
    return ok;
}

static bool search_fences(struct json_repaired *out, struct region all)
{
    struct fences fences = {.all = all};
    struct region fence;
    while ((fence = next_fence(&fences)).length) {
        size_t from = 0, key;
        struct json_reader r = reader_of(fence, 0);
        if (json_comment_at(&r, 0))
            from = json_skip(&r, 0, NULL);
        bool brace = from < fence.length && begins(fence, from, false);
        if (!brace && !lacks_brace(fence, &key))
            continue;
        out->place = JSON_FENCE;
        if (from)
            out->repairs |= 1U << JSON_COMMENTS;
        from = brace ? from : key;
        return past_marks(&fence, from, all) && read_from(out, fence, from, !brace);
    }
    return true;
}

static bool search_prose(struct json_repaired *out, struct region all)
{
    for (size_t i = 0; i < all.length; i++) {
        char c = all.text[i];
        if ((c == '{' || c == '[' || c == '\xEF') && begins(all, i, true)) {
            out->place = JSON_PROSE;
            out->repairs |= 1U << JSON_TEXT_AROUND;
            return read_from(out, all, i, false);
        }
    }
    return true;
}

/* A text that is one string, number or literal. */
static bool read_scalar(struct json_repaired *out, struct region all)
{
    enum { LONGEST = 64 };
    struct json_reader r = reader_of(all, 0);
    int c = json_byte(&r, 0);
    if (c != '"' && all.length > LONGEST)
        return true;
    if (!read_strict(&out->value, &out->repairs, all.text, all.length))
        return false;
    if (!out->value && c != '"') { /* True, 4,5: but a word of prose is no JSON */
        size_t unused;
        if (!read_forgiving(out, all, 0, &unused, false))
            return false;
        unsigned nothing = 1U << JSON_MISSING_VALUES | 1U << JSON_TRUNCATED;
        if (json_is_string(out->value) || unused != all.length || (out->repairs & nothing)) {
            json_decref(out->value);
            out->value = NULL;
            out->repairs = 0;
        }
    }
    if (out->value)
        out->place = JSON_WHOLE;
    return true;
}

static bool search(struct json_repaired *out, struct region all, int levels);

/* "{\"a\": 1}": the value is a string that holds the object. */
static bool open_string(struct json_repaired *out, int levels)
{
    struct json_repaired inner = {0};
    const char *text = json_string_value(out->value);
    struct slice t = reward_trim(text, json_string_length(out->value));
    struct region where = {t.data, t.length, 0};
    if (levels == 0 || t.length == 0 || !strchr("{[\"", t.data[0]) || !t.data[0])
        return true;
    bool ok = search(&inner, where, levels - 1);
    if (ok && (json_is_object(inner.value) || json_is_array(inner.value))) {
        json_decref(out->value);
        out->value = inner.value;
        out->repairs |= inner.repairs | 1U << JSON_ENCODED_STRING;
        return true;
    }
    json_decref(inner.value);
    return ok;
}

static bool search(struct json_repaired *out, struct region all, int levels)
{
    if (all.length == 0)
        return true;
    bool bracket = all.text[0] == '{' || all.text[0] == '[';
    if (bracket && strict_end(all, 0) == all.length) { /* valid as a whole, whatever its keys */
        if (!read_strict(&out->value, &out->repairs, all.text, all.length))
            return false;
        out->place = out->value ? JSON_WHOLE : JSON_NOWHERE;
        if (out->value)
            return true;
    }
    if (begins(all, 0, false)) {
        out->place = JSON_WHOLE;
        return read_from(out, all, 0, false);
    }
    if (!bracket && !read_scalar(out, all))
        return false;
    if (out->value)
        return !json_is_string(out->value) || open_string(out, levels);
    size_t key;
    if (lacks_brace(all, &key)) {
        out->place = JSON_WHOLE;
        return read_from(out, all, key, true);
    }
    if (!search_fences(out, all) || (!out->place && !search_prose(out, all)))
        return false;
    if (!out->place && bracket &&
        all.text[0] == '{') { /* nothing better: {"a, cut off in its first key */
        out->place = JSON_WHOLE;
        return read_from(out, all, 0, false);
    }
    return true;
}

bool json_repair(struct json_repaired *out, const char *text, size_t length)
{
    enum { LEVELS = 3 }; /* of JSON in a JSON string */
    *out = (struct json_repaired){0};
    size_t failed = mem_stats().failed_calls;
    struct slice t = reward_trim(text, length);
    struct region all = {t.data, t.length, 0};
    for (const char *end = t.data + t.length; end + all.spaces < text + length;)
        if (end[all.spaces] == ' ')
            all.spaces++;
        else
            break;
    bool ok = search(out, all, LEVELS);
    /* jansson's allocations never fail it (base/json.c): ask whether one should have. */
    if (!ok || mem_stats().failed_calls != failed) {
        json_repaired_free(out);
        return false;
    }
    out->strict = out->value && out->repairs == 0;
    return true;
}

void json_repaired_free(struct json_repaired *r)
{
    json_decref(r->value);
    *r = (struct json_repaired){0};
}
