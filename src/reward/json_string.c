/* json_string.c: strings for json_reader, where most of what models break is broken.
 *
 * A quote ends a string only if what follows it looks like what may follow a string there: a colon
 * after a key; a comma and a key, or a closing bracket, after a member; and so on (ends_string).
 * Any other quote is taken for a character of the string: {"a": "um "bom" dia"}.
 *
 * A string whose closing quote is missing shows itself later: a quote that cannot end it, right
 * after a comma or a line break, and then a quote with a colon behind it, is the next key. The
 * string then ends before that comma, and the brackets before it (`cut`), and reading goes back
 * there. What is read twice this way lies between two quotes, and each such stretch once: linear.
 * Bare keys show the end as well, but maybe only when the text is over: for their sake no more is
 * read twice than the text has bytes (may_go_back).
 *
 * All looks ahead stop at the next quote, or at the first character that a bare key cannot hold, so
 * their sum is linear too. */
#include <string.h>
#include "reward/json_reader.h"
#include "reward/pytext.h"

/* --- where a string ends --- */

/* Another string at `at`, on a line after the one that ended at `after`, goes on with it. */
static bool goes_on(const struct json_reader *r, size_t after, size_t at)
{
    size_t bytes;
    return json_quote_at(r, at, &bytes) && json_crosses_line(r, after, at) &&
           !json_key_at(r, at, true) && json_whole_value_at(r, at);
}

static bool quote_follows(const struct json_reader *r, size_t after, size_t at,
                          enum json_context context, bool inner)
{
    size_t bytes;
    json_quote_at(r, at, &bytes);
    if (context == JSON_IN_OBJECT)
        return json_member_at(r, at, inner) || (!inner && goes_on(r, after, at));
    if (context != JSON_IN_ARRAY || json_key_at(r, at, true))
        return context == JSON_IN_ARRAY;
    /* A missing comma between two elements, unless the second quote is the one that ends. */
    int next = json_byte(r, json_skip(r, at + bytes, NULL));
    return (at > after || json_is_word_byte(next)) && next >= 0 && next != ',' && next != ']';
}

/* Whether a quote that ends at `after`, with `at` behind the white space there, can be the end of a
 * string. inner: quoted speech is open in it, and only what is certain counts. */
static bool ends_before(const struct json_reader *r, size_t after, size_t at,
                        enum json_context context, bool inner)
{
    size_t bytes;
    int c = json_sign_at(r, at, &bytes);
    if (c < 0 || context == JSON_AS_KEY)
        return true;
    if (context == JSON_IN_ROOT)
        return false;
    if (!inner && !r->bare_keys && json_over_at(r, after + (c == ','), at + (c == ',')))
        return true;
    if (c == '}')
        return r->objects > 0;
    if (c == ']')
        return r->arrays > 0;
    if (c == ')' && (r->tuples || (context == JSON_IN_ARRAY && !inner))) {
        c = json_byte(r, json_skip(r, at + bytes, NULL));
        return c < 0 || strchr(",;}])", c);
    }
    if (c == ',' || c == ';')
        return json_comma_ends(r, at + bytes, context, inner);
    if (c == '.' || c == '|')
        return context == JSON_IN_OBJECT && json_key_at(r, at + 1, true);
    if (c == '+') {
        size_t next = json_skip(r, at + 1, NULL);
        return json_quote_at(r, next, &bytes) != JSON_NO_QUOTE;
    }
    if (json_quote_at(r, at, &bytes) || json_escaped_quote_at(r, at))
        return quote_follows(r, after, at, context, inner);
    bool line = json_crosses_line(r, after, at);
    if (context == JSON_IN_ARRAY)
        return (line && json_bullet_at(r, at)) ||
               (at > after && !inner && json_lone_scalar_at(r, at));
    return (line || (at > after && !inner)) && json_key_at(r, at, false);
}

static bool ends_string(const struct json_reader *r, size_t after, enum json_context context,
                        bool inner)
{
    return ends_before(r, after, json_skip(r, after, NULL), context, inner);
}

/* --- characters --- */

static int hex4(const struct json_reader *r, size_t at)
{
    int value = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(json_byte(r, at + i));
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Nothing, or the beginning of \uXXXX, is all that is left. */
static bool escape_cut_off(const struct json_reader *r)
{
    size_t i = r->at;
    if (json_byte(r, i) == '\\' && (i + 1 == r->length || json_byte(r, i + 1) == 'u'))
        for (i = i + 2 < r->length ? i + 2 : r->length; hex_digit(json_byte(r, i)) >= 0;)
            i++;
    return i >= r->length;
}

/* \u{1F600} and \x41 as JavaScript and Python have them; false: it is neither. */
static bool other_unicode(struct json_reader *r)
{
    bool braces = json_byte(r, r->at + 1) == 'u';
    size_t i = r->at + 2, most = braces ? 6 : 2, start;
    uint32_t code = 0;
    if (braces && json_byte(r, i++) != '{')
        return false;
    for (start = i; i - start < most && hex_digit(json_byte(r, i)) >= 0; i++)
        code = code * 16 + (uint32_t)hex_digit(json_byte(r, i));
    bool character = code > 0 && code < 0x110000 && !(code >= 0xD800 && code < 0xE000);
    if (!character || (braces ? json_byte(r, i) != '}' : i - start != 2))
        return false;
    json_note(r, JSON_ESCAPES);
    r->at = i + braces;
    str_put_utf8(&r->buffer, code);
    return true;
}

/* \uXXXX at r->at, a pair of surrogates as one. */
static void read_unicode(struct json_reader *r)
{
    int c = hex4(r, r->at + 2);
    if (c < 0) {
        bool ends = r->length - r->at < 6;
        json_note(r, ends ? JSON_TRUNCATED : JSON_ESCAPES);
        r->at = ends ? r->length : r->at + 2;
        return;
    }
    r->at += 6;
    if (c >= 0xD800 && c < 0xDC00 && json_byte(r, r->at) == '\\' &&
        json_byte(r, r->at + 1) == 'u') {
        int low = hex4(r, r->at + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            r->at += 6;
        }
    }
    if (c >= 0xD800 && c < 0xDC00 && r->at + 6 > r->length && escape_cut_off(r)) {
        json_note(r, JSON_TRUNCATED);
        r->at = r->length;
        return;
    }
    if (c >= 0xD800 && c < 0xE000) {
        json_note(r, JSON_ENCODING);
        c = 0xFFFD;
    }
    str_put_utf8(&r->buffer, (uint32_t)c);
}

/* A backslash that stands for itself or for nothing: dropped before the signs that Markdown escapes
 * ("\_", "\$"), before quotes and at a line's end, kept before others: "\d+\.", "C:\pasta". */
static void read_escape(struct json_reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = json_byte(r, r->at + 1);
    if ((c == 'u' || c == 'x') && other_unicode(r))
        return;
    if (c == 'u') {
        read_unicode(r);
        return;
    }
    const char *known = c > 0 ? strchr(from, c) : NULL;
    if (known) {
        str_putc(&r->buffer, to[known - from]);
        r->at += 2;
        return;
    }
    json_note(r, c < 0 ? JSON_TRUNCATED : JSON_ESCAPES);
    r->at++;
    if (c == '\n')
        r->at++;
    else if (c > 0 && !strchr("_$*#'`~&%!<>-@=:; ", c))
        str_putc(&r->buffer, '\\');
}

/* "C:\Users\novo" at r->at: a path, whose backslashes are not escapes. */
static bool path_at(const struct json_reader *r)
{
    int drive = json_byte(r, r->at) | 0x20, first = json_byte(r, r->at + 3);
    return drive >= 'a' && drive <= 'z' && json_byte(r, r->at + 1) == ':' &&
           json_byte(r, r->at + 2) == '\\' && json_is_word_byte(first);
}

static void read_path_escape(struct json_reader *r)
{
    int c = json_byte(r, r->at + 1);
    if (c == '"' || c == '\\') {
        read_escape(r);
        return;
    }
    json_note(r, c < 0 ? JSON_TRUNCATED : JSON_ESCAPES);
    if (c >= 0)
        str_putc(&r->buffer, '\\');
    r->at++;
}

/* One character that is neither quote nor backslash. */
static void read_character(struct json_reader *r)
{
    int32_t c;
    size_t n = (size_t)utf8_decode(r->text + r->at, r->length - r->at, &c);
    if (c >= 0) {
        if (c < 0x20)
            json_note(r, JSON_CONTROL_CHARACTERS);
        str_append(&r->buffer, r->text + r->at, n);
    } else if (r->length - r->at < 4 && (unsigned char)r->text[r->at] >= 0xC2 &&
               json_byte(r, r->length - 1) >= 0x80) { /* a character cut off */
        json_note(r, JSON_TRUNCATED);
        n = r->length - r->at;
    } else {
        json_note(r, JSON_ENCODING);
        str_puts(&r->buffer, "\xEF\xBF\xBD");
    }
    r->at += n;
}

/* --- strings --- */

/* What is known on the way about where a string without an end should have ended: before a run of
 * commas, line breaks and closing brackets that the next key comes after. */
struct run {
    size_t at, length; /* its beginning in the text and in r->buffer */
    bool open;         /* being read */
    bool separator;    /* has a comma or line break */
    bool close, next;  /* has a closing bracket; and then an opening one */
    bool comment;      /* is in a comment, which ends with the line */
};
struct cut {
    enum json_context context;
    struct run run;
    bool armed; /* a quote came right after one: cut there if the next quote ends a key */
    struct run armed_run;
    bool bare; /* a bare key came right after one: cut there if the string does not end as it should
                */
    struct run bare_run;
    int brackets; /* opened in the string: as many closing ones are text */
    bool nested;  /* a quote came right after one: what it closes is text, too */
    bool inner;   /* a quote opened speech in the string */
    int kept;     /* quotes taken for text */
    size_t close; /* the first of them looked like an end: behind it, 0: it did not */
    size_t close_length;
    bool colon; /* of a key: the first colon */
    size_t colon_at, colon_length;
};

/* Whether c at r->at goes on a run or begins one. */
static bool in_run(const struct cut *cut, int c)
{
    if (c == ',' || c == ';' || c == '\n')
        return true;
    if ((c == '{' || c == '[') && cut->run.open && cut->run.separator)
        return cut->run.close; /* }, { */
    if (c != '}' && c != ']')
        return false;
    bool fits = cut->run.close || c == (cut->context == JSON_IN_OBJECT ? '}' : ']');
    return cut->brackets == 0 && fits;
}

static void watch(struct cut *cut, const struct json_reader *r, int c)
{
    struct run *run = &cut->run;
    run->comment = run->comment ? c != '\n'
                                : run->separator && (c == '#' || c == '/') &&
                                      json_byte(r, r->at - 1) == ' ' && json_comment_at(r, r->at);
    if (in_run(cut, c) && !run->comment) {
        if (!run->open)
            *run = (struct run){.at = r->at, .length = r->buffer.length, .open = true};
        run->separator |= c == ',' || c == ';' || c == '\n';
        run->close |= c == '}' || c == ']';
        run->next |= c == '{' || c == '[';
        return;
    }
    if (run->comment || c == ' ' || c == '\t' || c == '\r')
        return;
    if (run->open && run->separator && r->bare_keys && !cut->bare && json_key_at(r, r->at, false)) {
        cut->bare = true;
        cut->bare_run = *run;
    }
    *run = (struct run){0};
    if (c == '{' || c == '[')
        cut->brackets++;
    else if ((c == '}' || c == ']') && cut->brackets > 0)
        cut->brackets--;
    if (c == ':' && !cut->colon) {
        cut->colon = true;
        cut->colon_at = r->at;
        cut->colon_length = r->buffer.length;
    }
}

/* A quote of another kind that ends the text in r->buffer and is the only one there: {"a": "x\'} */
static void drop_odd_quote(struct json_reader *r)
{
    size_t n = r->buffer.length;
    if (n < 2 || !strchr("'\"`", r->buffer.data[n - 1]) || r->buffer.data[n - 1] == 0 ||
        memchr(r->buffer.data, r->buffer.data[n - 1], n - 1))
        return;
    r->buffer.data[--r->buffer.length] = 0;
}

static void end_at(struct json_reader *r, size_t at, size_t length)
{
    json_note(r, JSON_QUOTES);
    r->at = at;
    r->buffer.length = length;
    while (r->buffer.length && strchr(" \t\r\n", r->buffer.data[r->buffer.length - 1]))
        r->buffer.length--;
    if (r->buffer.data)
        r->buffer.data[r->buffer.length] = 0;
}

/* Whether the text from `at` on may be read once more: all that is read twice for bare keys' sake
 * is at most as much as there is, whatever the quotes are. */
static bool may_go_back(struct json_reader *r, size_t at)
{
    r->read_twice += r->at - at;
    return r->read_twice <= r->length;
}

/* The text is over and the string is not. Closing brackets at its end, as many as are open at
 * most, are not part of it: {"a": "b} */
static void end_of_text(struct json_reader *r, const struct cut *cut, enum json_context context)
{
    if (context == JSON_AS_KEY && cut->colon) {
        end_at(r, cut->colon_at, cut->colon_length);
        return;
    }
    if (cut->bare && may_go_back(r, cut->bare_run.at)) {
        end_at(r, cut->bare_run.at, cut->bare_run.length);
        return;
    }
    json_note(r, JSON_TRUNCATED);
    if (context == JSON_IN_ROOT || context == JSON_AS_KEY)
        return;
    const char *b = str_text(&r->buffer);
    size_t kept = r->buffer.length, tail = kept;
    for (int closed = 0; tail && closed < r->depth; tail--) {
        char c = b[tail - 1];
        if (c == '}' || c == ']') {
            closed++;
            kept = tail - 1;
        } else if (!strchr(" \t\r\n", c)) {
            break;
        }
    }
    if (kept == r->buffer.length)
        return;
    /* The brackets have no escapes before them, so as many bytes of the text are given back. */
    size_t back = r->buffer.length - kept;
    if (back <= r->at)
        end_at(r, r->at - back, kept);
    drop_odd_quote(r);
}

/* A quote at r->at is kept as text. */
static void keep_quote(struct json_reader *r, struct cut *cut, size_t bytes)
{
    size_t after = r->at + bytes;
    int next = json_byte(r, after), before = json_byte(r, r->at - 1);
    bool opens = r->buffer.length == 0 || strchr(" \t\n([{-", before);
    if (cut->kept++ == 0 && !opens) {
        cut->close = after;
        cut->close_length = r->buffer.length;
    }
    cut->inner = opens && next > ' ';
    cut->nested = cut->brackets > 0 && (cut->nested || before == '[' || before == '{');
    if (!cut->run.comment) {
        cut->armed = cut->run.open && cut->run.separator;
        cut->armed_run = cut->run;
        cut->run = (struct run){0};
    }
    json_note(r, JSON_QUOTES);
    str_append(&r->buffer, r->text + r->at, bytes);
    r->at = after;
}

/* The string should have ended before the run that armed the cut. */
static void end_at_cut(struct json_reader *r, const struct cut *cut, const struct run *run)
{
    if (cut->kept == 2 && cut->close && cut->close < run->at) { /* "x" ok, "b": 2 */
        end_at(r, cut->close, cut->close_length);
        return;
    }
    end_at(r, run->at, run->length);
    drop_odd_quote(r);
}

/* A quote at r->at that cannot end the string begins another: after a bare key and a colon, or
 * after a closing bracket and a comma. The run before which the string should have ended, or NULL.
 */
static const struct run *begins_another(struct json_reader *r, const struct cut *cut,
                                        enum json_context context)
{
    size_t before = r->at;
    if (cut->run.open && cut->run.separator && cut->run.close && !cut->run.comment &&
        context != JSON_IN_ROOT && (cut->run.next || json_member_at(r, r->at, false)))
        return &cut->run;
    while (before > 0 && r->at - before < 8 && r->text[before - 1] == ' ')
        before--;
    int c = before > 0 ? json_byte(r, before - 1) : -1;
    bool value = c == '[' || c == '{' || ((c == ':' || c == '=') && json_whole_value_at(r, r->at));
    return cut->bare && value && may_go_back(r, cut->bare_run.at) ? &cut->bare_run : NULL;
}

/* At a quote of the string's kind: true when the string ends, r->at behind it. */
static bool at_quote(struct json_reader *r, struct cut *cut, size_t bytes,
                     enum json_context context)
{
    size_t after = r->at + bytes, sign, next = json_skip(r, after, NULL);
    size_t colon = json_colon_at(r, next);
    if (context == JSON_AS_KEY) {
        size_t more;
        if (!colon && json_quote_at(r, after, &more) &&
            json_colon_at(r, json_skip(r, after + more, NULL))) { /* {"a"": 1} */
            json_note(r, JSON_QUOTES);
            after += more;
            colon = 1;
        }
        if (!colon && cut->colon) /* {"a: 1, "b": 2} */
            end_at(r, cut->colon_at, cut->colon_length);
        else
            r->at = after;
        return true;
    }
    bool key = colon && (r->other_colons || json_sign_at(r, next, &sign) == ':');
    int closing = json_sign_at(r, next, &sign);
    bool text = cut->nested && cut->brackets > 0 && (closing == '}' || closing == ']');
    bool ends = !text && !(context == JSON_IN_OBJECT && cut->armed && key) &&
                ends_before(r, after, next, context, cut->inner);
    const struct run *another = ends ? NULL : begins_another(r, cut, context);
    if (cut->armed && ((context == JSON_IN_OBJECT && key) ||
                       (context == JSON_IN_ARRAY && ends && ends_string(r, after, context, true))))
        another = &cut->armed_run;
    if (another) {
        end_at_cut(r, cut, another);
        return true;
    }
    if (ends)
        r->at = after;
    else
        keep_quote(r, cut, bytes);
    return ends;
}

/* Behind the opening quote, or two of them where keys have two: what may follow an empty string
 * tells it from a text that begins with a sign. */
static void open_quote(struct json_reader *r, enum json_quote quote, enum json_context context)
{
    size_t bytes;
    if (json_quote_at(r, r->at, &bytes) != quote)
        return;
    bool begins = json_is_word_byte(json_byte(r, r->at + bytes));
    if (context == JSON_AS_KEY && begins) {
        r->doubled_quotes = true;
    } else if (context != JSON_AS_KEY && r->doubled_quotes) {
        size_t more, at = r->at + bytes, start = at; /* a comment's sign may begin the text */
        while (at < r->length && (unsigned char)r->text[at] <= ' ')
            at++;
        bool empty = at == start && json_quote_at(r, at, &more) == quote &&
                     json_quote_at(r, at + more, &more) == quote; /* """" */
        begins = empty || (at < r->length && !strchr(",;:]})", r->text[at]) &&
                           json_quote_at(r, at, &more) != quote);
    }
    if (r->doubled_quotes && begins) {
        json_note(r, JSON_QUOTES);
        r->at += bytes;
    }
}

/* Python's """text""" at r->at, whatever quotes are in it: true when it was read. A sign that may
 * follow a string shows that the text is empty and the third quote too many. */
static bool read_tripled(struct json_reader *r)
{
    size_t start = r->at + 3, left = r->length - r->at;
    char mark[3] = {r->text[r->at], r->text[r->at], r->text[r->at]};
    if (left < 4 || !strchr("\"'", mark[0]) || memcmp(r->text + r->at, mark, 3) != 0)
        return false;
    int next = json_byte(r, json_skip(r, start, NULL));
    if (r->untripled || next < 0 || strchr(",;:]}\"'", next))
        return false;
    const char *close = memmem(r->text + start, left - 3, mark, 3);
    r->untripled = close == NULL; /* nor does one follow further on */
    if (!close)
        return false;
    json_note(r, JSON_QUOTES);
    for (r->at = start; r->text + r->at < close;)
        if (json_byte(r, r->at) == '\\')
            read_escape(r);
        else
            read_character(r);
    r->at = (size_t)(close - r->text) + 3;
    return true;
}

static void read_one(struct json_reader *r, enum json_context context)
{
    struct cut cut = {.context = context};
    size_t bytes, more;
    if (context != JSON_AS_KEY && read_tripled(r))
        return;
    enum json_quote quote = json_quote_at(r, r->at, &bytes);
    bool plain = r->text[r->at] == '"';
    r->at += bytes;
    if (!plain)
        json_note(r, JSON_QUOTES);
    open_quote(r, quote, context);
    bool path = path_at(r);
    while (r->at < r->length) {
        int c = json_byte(r, r->at);
        if (c == '\\') {
            if (path)
                read_path_escape(r);
            else
                read_escape(r);
            cut.run = (struct run){0};
            continue;
        }
        if (json_quote_at(r, r->at, &bytes) == quote) {
            bool odd = plain && c != '"'; /* inside "…" a typographic quote is mostly text */
            if (odd && !ends_string(r, r->at + bytes, context, true)) {
                read_character(r);
                continue;
            }
            if (odd)
                json_note(r, JSON_QUOTES);
            if (r->doubled_quotes && json_quote_at(r, r->at + bytes, &more) == quote)
                bytes += more;
            if (at_quote(r, &cut, bytes, context))
                return;
            continue;
        }
        watch(&cut, r, c);
        read_character(r);
    }
    end_of_text(r, &cut, context);
}

void json_reader_string(struct json_reader *r, enum json_context context)
{
    size_t bytes;
    str_clear(&r->buffer);
    read_one(r, context);
    while (context != JSON_AS_KEY) { /* "a" + "b", or on two lines */
        size_t at = json_skip(r, r->at, NULL);
        if (json_byte(r, at) == '+')
            at = json_skip(r, at + 1, NULL);
        else if (context != JSON_IN_OBJECT || !goes_on(r, r->at, at))
            return;
        if (!json_quote_at(r, at, &bytes))
            return;
        json_note(r, JSON_QUOTES);
        r->at = at;
        read_one(r, context);
    }
}

/* \"text\": the same number of backslashes ends it; more of them stand for a quote inside. */
void json_reader_escaped_string(struct json_reader *r, enum json_context context)
{
    str_clear(&r->buffer);
    json_note(r, JSON_ESCAPED_QUOTES);
    size_t level = json_escaped_quote_at(r, r->at);
    char quote = r->text[r->at + level];
    r->at += level + 1;
    while (r->at < r->length) {
        size_t escapes = json_escaped_quote_at(r, r->at);
        int c = json_byte(r, r->at);
        if (escapes && r->text[r->at + escapes] == quote) {
            r->at += escapes + 1;
            if (escapes <= level)
                return;
            str_putc(&r->buffer, quote);
        } else if (c == quote && ends_string(r, r->at + 1, context, false)) {
            r->at++;
            return;
        } else if (c == '\\') {
            while (json_byte(r, r->at + 1) == '\\') /* \\n: encoded as often as the quotes */
                r->at++;
            read_escape(r);
        } else {
            read_character(r);
        }
    }
    json_note(r, JSON_TRUNCATED);
}
