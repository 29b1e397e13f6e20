/* json_reader.c: the reader that forgives: lists and objects; strings are in json_string.c, bare
 * values in json_bare.c, and what they look for ahead in json_look.c.
 *
 * Recursive descent that never says no (but for depth and memory): where the next byte is none of
 * those the grammar allows, the likeliest slip is assumed, noted, and reading goes on. What guides
 * the guesses is that an object's members are easy to tell from anything else: a key and a colon.
 *
 * Brackets: a closing one of the wrong kind closes every list or object up to the one it fits (and
 * is skipped when none is open); the end of the text closes all. A } too early at the root, with a
 * comma and a key behind it, is skipped. A list in which a key turns up has lost its ], unless the
 * key is the first of the object before it, or stands where the first element should: then a { is
 * lost. */
#include "reward/json_reader.h"
#include <string.h>
#include "reward/rewards.h"

static int skip(struct json_reader *r)
{
    r->at = json_skip(r, r->at, &r->repairs);
    int c = json_sign_at(r, r->at, &r->sign);
    if (c >= 0 && r->sign > 1)
        json_note(r, JSON_SIGNS);
    return c;
}

/* The JSON is over, its brackets still open: </answer>, or prose behind a blank line. */
static bool over(const struct json_reader *r, size_t before, int c)
{
    return (c == '<' && json_byte(r, r->at + 1) == '/') || json_over_at(r, before, r->at);
}

json_t *json_reader_keep(struct json_reader *r, json_t *value)
{
    r->no_memory |= value == NULL;
    return value;
}

json_t *json_reader_missing(struct json_reader *r)
{
    json_note(r, r->at < r->length ? JSON_MISSING_VALUES : JSON_TRUNCATED);
    return json_reader_keep(r, json_null());
}

json_t *json_reader_text(struct json_reader *r)
{
    if (r->buffer.failed)
        return json_reader_keep(r, NULL);
    return json_reader_keep(r, json_stringn_nocheck(str_text(&r->buffer), r->buffer.length));
}

/* --- lists --- */

struct list {
    bool first, comma, commas; /* since the last element; any */
    char closer;               /* ] or, of a tuple, ) */
};

/* The key at r->at is the one that `last` begins with: another object, its { lost. */
static bool same_first_key(const struct json_reader *r, const json_t *last)
{
    size_t bytes, at = r->at + json_escaped_quote_at(r, r->at);
    const char *key = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)last));
    if (!key || !json_quote_at(r, at, &bytes))
        return false;
    size_t n = strlen(key);
    return r->length - at - bytes >= n && memcmp(r->text + at + bytes, key, n) == 0 &&
           !json_is_word_byte(json_byte(r, at + bytes + n));
}

/* A closing sign in a list: 0 no more elements, r->at behind it if it is the list's own; 1 skipped.
 */
static int list_closes(struct json_reader *r, const struct list *l, int c)
{
    bool own = c == l->closer;
    if (own && l->comma)
        json_note(r, JSON_COMMAS);
    if (!own)
        json_note(r, JSON_BRACKETS);
    bool outer = (c == ']' && r->arrays) || (c == ')' && r->tuples);
    if (own || (c != '}' && !outer))
        r->at += r->sign;
    else if (c == '}' && !r->objects) {
        r->at += r->sign;
        return 1;
    }
    return 0;
}

/* Between two elements: r->at at the next one, or false at the list's end (behind its bracket, or
 * before what closes it from outside). */
static bool next_element(struct json_reader *r, struct list *l, const json_t *out)
{
    size_t n;
    for (l->comma = false;;) {
        size_t before = r->at;
        int c = skip(r);
        if (c == ',' || c == ';') {
            if (l->comma || l->first || c == ';')
                json_note(r, JSON_COMMAS);
            l->comma = l->commas = true;
            r->at += r->sign;
        } else if (c < 0 || over(r, before, c)) {
            json_note(r, JSON_TRUNCATED);
            json_note(r, JSON_BRACKETS);
            return false;
        } else if (c == ']' || c == '}' || c == ')') {
            if (!list_closes(r, l, c))
                return false;
        } else if (!l->first && r->objects && json_key_at(r, r->at, true) &&
                   !same_first_key(r, json_array_get(out, json_array_size(out) - 1))) {
            json_note(r, JSON_BRACKETS);
            return false;
        } else if ((n = json_ellipsis_at(r, r->at)) > 0 || c == '>' ||
                   (n = json_bullet_at(r, r->at)) > 0) {
            json_note(r, JSON_STRAY_TEXT);
            r->at += c == '>' ? 1 : n;
        } else {
            if (!l->first && !l->comma)
                json_note(r, JSON_COMMAS);
            return true;
        }
    }
}

/* One element; a key where it should begin is that of an object whose { is lost. */
static json_t *element(struct json_reader *r, const struct list *l, const json_t *out)
{
    bool object = l->first || json_is_object(json_array_get(out, json_array_size(out) - 1));
    if (object && r->depth < JSON_REPAIR_DEPTH && json_key_at(r, r->at, true))
        return json_reader_object(r, true);
    return json_reader_value(r, JSON_IN_ARRAY);
}

static json_t *list(struct json_reader *r, char closer)
{
    struct list l = {.first = true, .closer = closer};
    json_t *out = json_reader_keep(r, json_array());
    int *open = closer == ']' ? &r->arrays : &r->tuples;
    bool lost_brace = false;
    if (closer != ']')
        json_note(r, JSON_BRACKETS);
    r->at += r->sign;
    r->depth++;
    ++*open;
    for (; out && next_element(r, &l, out); l.first = false) {
        size_t bytes;
        int c = json_sign_at(r, r->at, &bytes);
        json_t *value = element(r, &l, out);
        lost_brace |= l.first && c != '{' && json_is_object(value);
        if (!value || json_array_append_new(out, value)) {
            r->no_memory |= value != NULL;
            json_decref(out);
            out = NULL;
        }
    }
    r->depth--;
    --*open;
    /* ["a": 1] is an object, and (x) is x: only a comma makes a tuple of one. */
    if (out && json_array_size(out) == 1 && (lost_brace || (closer == ')' && !l.commas))) {
        json_t *only = json_incref(json_array_get(out, 0));
        json_decref(out);
        return only;
    }
    return out;
}

/* Whether ( at r->at is a list's and not text's: "(11) 98765-4321". */
static bool tuple_at(const struct json_reader *r)
{
    enum { LOOK = 200 };
    size_t bytes, from = json_skip(r, r->at + r->sign, NULL), end;
    int c = json_sign_at(r, from, &bytes);
    if (json_quote_at(r, from, &bytes) || c == '{' || c == '[' || c == '(')
        return true;
    bool commas = false;
    for (end = from; end - from < LOOK && end < r->length && r->text[end] != ')'; end++) {
        if (r->text[end] == '\n' && c != '-' && !(c >= '0' && c <= '9'))
            return false;
        commas |= r->text[end] == ',';
    }
    if (end == r->length)
        return commas;
    c = json_byte(r, json_skip(r, end + 1, NULL));
    bool alone = c < 0 || c == ',' || c == ';' || c == '}' || c == ']' || c == ')';
    return alone && r->text[end] == ')' && (end == from || commas || json_scalar_in(r, from, end));
}

/* - one
 * - two
 * as a list, r->at at its first bullet. */
static json_t *bullets(struct json_reader *r)
{
    size_t n;
    json_t *out = json_reader_keep(r, json_array());
    json_note(r, JSON_BRACKETS);
    r->depth++;
    while (out && (n = json_bullet_at(r, r->at)) > 0) {
        r->at += n;
        json_t *value = json_reader_value(r, JSON_IN_ARRAY);
        if (!value || json_array_append_new(out, value)) {
            r->no_memory |= value != NULL;
            json_decref(out);
            out = NULL;
            break;
        }
        size_t bytes, next = json_skip(r, r->at, NULL);
        if (json_sign_at(r, next, &bytes) == ',')
            next = json_skip(r, next + bytes, NULL);
        if (json_bullet_at(r, next))
            r->at = next;
    }
    r->depth--;
    return out;
}

/* --- objects --- */

struct object {
    bool first, comma;
    bool another; /* {"a": {…}, {…}}: a list whose brackets are lost goes on */
    char *key;    /* the last member's; owned */
    int doubled;  /* {{: as many more } to close */
};

/* A closing sign in an object: true when it ends there, r->at behind it if it is the object's own.
 */
static bool object_closes(struct json_reader *r, struct object *o, int c)
{
    if ((c == ']' && r->arrays) || (c == ')' && r->tuples)) {
        json_note(r, JSON_BRACKETS);
        return true;
    }
    size_t before = r->at;
    if (o->comma)
        json_note(r, JSON_COMMAS);
    if (c != '}')
        json_note(r, JSON_BRACKETS);
    r->at += r->sign;
    for (; c == '}' && o->doubled > 0 && json_byte(r, r->at) == '}'; o->doubled--)
        r->at++;
    size_t next = json_skip(r, r->at, NULL);
    bool extra = c == ']' && before > 0 && r->text[before - 1] == ']'; /* [1]] */
    if ((r->depth > 1 && !extra) || json_byte(r, next) != ',' || !json_key_at(r, next + 1, true))
        return true;
    json_note(r, JSON_BRACKETS); /* a bracket too early */
    return false;
}

/* Signs that stand before a member and are no part of it: bullets, quotation marks of mail, a full
 * stop or bar for a comma, the colon of a Ruby symbol. Their bytes, or 0. */
static size_t stray_sign(struct json_reader *r, int c)
{
    size_t n = json_bullet_at(r, r->at);
    if (n == 0 && (c == '.' || c == '|') && json_key_at(r, r->at + 1, true)) {
        json_note(r, JSON_COMMAS);
        return 1;
    }
    if (n == 0 && (c == '>' || c == ':'))
        n = r->sign;
    if (n)
        json_note(r, c == ':' ? JSON_COLONS : JSON_STRAY_TEXT);
    return n;
}

/* Between two members: r->at at the next key, or false at the object's end. */
static bool next_member(struct json_reader *r, struct object *o)
{
    size_t n;
    for (o->comma = false;;) {
        size_t before = r->at;
        int c = skip(r);
        if (c == ',' || c == ';') {
            if (o->comma || o->first || c == ';')
                json_note(r, JSON_COMMAS);
            o->comma = true;
            r->at += r->sign;
        } else if (c < 0 || (!r->bare_keys && over(r, before, c))) {
            json_note(r, JSON_TRUNCATED);
            json_note(r, JSON_BRACKETS);
            return false;
        } else if (c == '}' || c == ']' || c == ')') {
            if (object_closes(r, o, c))
                return false;
        } else if (c == '{') { /* the next object of a list, or {{"a": 1}} */
            json_note(r, JSON_BRACKETS);
            if (r->arrays && !o->first)
                return false;
            o->another = o->comma && o->key && r->depth < JSON_REPAIR_DEPTH;
            if (o->another)
                return true;
            o->doubled += o->first;
            r->at += r->sign;
        } else if ((n = stray_sign(r, c)) > 0) {
            r->at += n;
        } else {
            if (!o->first && !o->comma)
                json_note(r, JSON_COMMAS);
            return true;
        }
    }
}

enum found_key { NO_KEY, KEY, KEY_WITHOUT_COLON };

/* A key without quotes into r->buffer: up to its colon, or to what cannot be part of one. Of words
 * without a colon the first is the key if it has a value behind it: {total 3}. */
static enum found_key bare_key(struct json_reader *r)
{
    size_t bytes, start = r->at, end = start, word = start;
    for (; end < r->length && !strchr("{}[]\n\"", r->text[end]); end++) {
        int c = json_sign_at(r, end, &bytes);
        if (c == ',' || json_colon_at(r, end))
            break;
        word += word == end && (json_is_word_byte(c) || c >= 0x80);
    }
    enum found_key found = KEY;
    bool quote = end > start && json_byte(r, end) == '"' && !strchr(" \t", r->text[end - 1]);
    struct slice t = reward_trim(r->text + start, end - start);
    r->at = end + quote;
    if (!json_colon_at(r, json_skip(r, r->at, NULL))) {
        size_t value = json_skip(r, word, NULL);
        r->at = end > start ? end : end + 1;
        if (word == start || value == word || value >= r->length || json_key_at(r, value, false) ||
            !json_whole_value_at(r, value)) {
            json_note(r, JSON_STRAY_TEXT);
            return NO_KEY;
        }
        t = (struct slice){r->text + start, word - start};
        r->at = value;
        json_note(r, JSON_COLONS);
        found = KEY_WITHOUT_COLON;
    }
    size_t from = (size_t)(t.data - r->text), closing = json_quote_before(r, from, from + t.length);
    t.length -= closing < t.length ? closing : 0;
    str_clear(&r->buffer);
    str_append(&r->buffer, t.data, t.length);
    json_note(r, quote ? JSON_QUOTES : JSON_UNQUOTED_KEYS);
    r->bare_keys |= !quote;
    return found;
}

/* The key in r->buffer as jansson takes keys: valid UTF-8 without NUL. */
static char *key_text(struct json_reader *r)
{
    struct str key = {0};
    const char *text = str_text(&r->buffer);
    str_puts(&key, "");
    for (size_t i = 0; i < r->buffer.length;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(text + i, r->buffer.length - i, &c);
        if (c <= 0)
            json_note(r, JSON_ENCODING);
        str_append(&key, c <= 0 ? "\xEF\xBF\xBD" : text + i, c <= 0 ? 3 : n);
        i += n;
    }
    if (key.failed || r->buffer.failed) {
        r->no_memory = true;
        str_free(&key);
        return NULL;
    }
    return key.data;
}

/* Behind the colon of a key. false: there is none, and no value either. */
static bool read_colon(struct json_reader *r)
{
    size_t bytes, before = r->at;
    int c = skip(r);
    size_t colon = json_colon_at(r, r->at);
    if (colon) {
        if (colon != r->sign || c != ':')
            json_note(r, JSON_COLONS);
        r->other_colons |= c != ':';
        r->at += colon;
        return true;
    }
    if (c == ';') { /* "nome"; "Ana" */
        size_t next = json_skip(r, r->at + 1, NULL);
        if (json_key_at(r, next, false) || !json_whole_value_at(r, next))
            return false;
        json_note(r, JSON_COLONS);
        r->at = next;
        return true;
    }
    bool value = json_quote_at(r, r->at, &bytes) || json_escaped_quote_at(r, r->at) || c == '{' ||
                 c == '[' || c == '-' || (r->at > before && json_is_word_byte(c)) ||
                 (c >= '0' && c <= '9');
    if (value && !json_key_at(r, r->at, false)) {
        json_note(r, JSON_COLONS);
        return true;
    }
    return false;
}

/* Another object after the one that is, or ends, the value of the last member: both in a list. */
static bool append_object(struct json_reader *r, json_t *o, const char *key)
{
    json_t *last = json_object_get(o, key), *value = json_reader_object(r, false);
    if (!value)
        return false;
    if (!json_is_array(last)) {
        json_t *list = json_reader_keep(r, json_array());
        if (!list || json_array_append(list, last) || json_object_set_new_nocheck(o, key, list)) {
            r->no_memory = true;
            json_decref(value);
            return false;
        }
        last = list;
    }
    if (json_array_append_new(last, value))
        r->no_memory = true;
    return !r->no_memory;
}

/* Reads one member into o and its key into *kept, where it is an object. false: stop, memory is out
 * or it is too deep. */
static bool member(struct json_reader *r, json_t *o, char **kept)
{
    size_t bytes;
    enum found_key bare = NO_KEY;
    if (json_quote_at(r, r->at, &bytes))
        json_reader_string(r, JSON_AS_KEY);
    else if (json_escaped_quote_at(r, r->at))
        json_reader_escaped_string(r, JSON_AS_KEY);
    else if ((bare = bare_key(r)) == NO_KEY)
        return true;
    char *key = key_text(r);
    if (!key)
        return false;
    json_t *value = NULL;
    if (bare == KEY_WITHOUT_COLON || read_colon(r))
        value = json_reader_value(r, JSON_IN_OBJECT);
    else if (r->at >= r->length && !bare) { /* a key cut off: nothing is known of its value */
        json_note(r, JSON_TRUNCATED);
        str_free(&(struct str){.data = key});
        return true;
    } else
        value = json_reader_missing(r);
    if (value && json_object_get(o, key))
        json_note(r, JSON_DUPLICATE_KEYS);
    if (value && json_object_set_new_nocheck(o, key, value)) {
        r->no_memory = true;
        value = NULL;
    }
    str_free(&(struct str){.data = *kept});
    *kept = key;
    if (!json_is_object(value)) {
        str_free(&(struct str){.data = key});
        *kept = NULL;
    }
    return value != NULL;
}

json_t *json_reader_object(struct json_reader *r, bool missing_brace)
{
    struct object o = {.first = true};
    json_t *out = json_reader_keep(r, json_object());
    if (missing_brace)
        json_note(r, JSON_BRACKETS);
    else
        r->at += r->sign;
    r->depth++;
    r->objects++;
    for (; out && next_member(r, &o); o.first = false) {
        bool ok = o.another ? append_object(r, out, o.key) : member(r, out, &o.key);
        o.another = false;
        if (!ok) {
            json_decref(out);
            out = NULL;
        }
    }
    str_free(&(struct str){.data = o.key});
    r->depth--;
    r->objects--;
    return out;
}

/* --- values --- */

json_t *json_reader_value(struct json_reader *r, enum json_context context)
{
    size_t bytes, before = r->at;
    int c = skip(r);
    bool tuple = c == '(' && tuple_at(r);
    bool bulleted = context == JSON_IN_OBJECT && json_bullet_at(r, r->at) &&
                    json_crosses_line(r, before, r->at);
    r->too_large |= ++r->values > JSON_REPAIR_VALUES;
    r->too_large |= (c == '{' || c == '[' || tuple || bulleted) && r->depth >= JSON_REPAIR_DEPTH;
    if (r->too_large)
        return NULL;
    if (c == '{')
        return json_reader_object(r, false);
    if (c == '[' || tuple)
        return list(r, c == '[' ? ']' : ')');
    if (bulleted)
        return bullets(r);
    bool quote = json_quote_at(r, r->at, &bytes) != JSON_NO_QUOTE;
    if (quote || json_escaped_quote_at(r, r->at)) {
        if (quote)
            json_reader_string(r, context);
        else
            json_reader_escaped_string(r, context);
        return json_reader_text(r);
    }
    if (c < 0 || c == ',' || c == '}' || c == ']')
        return json_reader_missing(r);
    return json_reader_bare(r, context);
}
