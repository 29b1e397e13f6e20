/* jinja_text.c: what Python's str does, on UTF-8: lengths and indices count code points. Upper and
 * lower case are Unicode's simple mappings and "ß"; a letter whose case is several letters, or
 * depends on its neighbours, is an error. */
#include <string.h>
#include <utf8proc.h>
#include "tokenizer/jinja_internal.h"

bool jtext_is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

size_t jtext_length(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.length; i++)
        n += ((unsigned char)s.data[i] & 0xC0) != 0x80;
    return n;
}

int jtext_column(const char *text, size_t offset)
{
    size_t start = offset;
    while (start && text[start - 1] != '\n')
        start--;
    return (int)jtext_length((struct slice){text + start, offset - start}) + 1;
}

size_t jtext_offset(struct slice s, size_t index)
{
    size_t at = 0;
    int32_t c;
    for (size_t i = 0; i < index && at < s.length; i++)
        at += (size_t)utf8_decode(s.data + at, s.length - at, &c);
    return at;
}

/* --- strip --- */

static bool strips(const struct jv *chars, const char *at, size_t n, int32_t c)
{
    if (!chars || chars->kind != J_TEXT)
        return jtext_is_space(c);
    return memmem(chars->as.text.data, chars->as.text.length, at, n) != NULL;
}

struct slice jtext_strip(struct slice s, const struct jv *chars, bool left, bool right)
{
    int32_t c;
    while (left && s.length) {
        size_t n = (size_t)utf8_decode(s.data, s.length, &c);
        if (!strips(chars, s.data, n, c))
            break;
        s.data += n;
        s.length -= n;
    }
    while (right && s.length) {
        size_t at = s.length - 1;
        while (at && ((unsigned char)s.data[at] & 0xC0) == 0x80)
            at--;
        utf8_decode(s.data + at, s.length - at, &c);
        if (!strips(chars, s.data + at, s.length - at, c))
            break;
        s.length = at;
    }
    return s;
}

/* --- case --- */

static bool is_cased(int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT;
}

/* Letters whose full mapping is not one letter for one. */
static bool is_special(int32_t c, bool lower)
{
    if (lower)
        return c == 0x130 || c == 0x3A3;
    return c == 0x149 || c == 0x1F0 || c == 0x390 || c == 0x3B0 || c == 0x587 ||
           (c >= 0x1E96 && c <= 0x1E9A) || (c >= 0x1F50 && c <= 0x1FFC) ||
           (c >= 0xFB00 && c <= 0xFB17);
}

static void put_cased(struct jrun *r, struct str *out, int32_t c, bool lower, bool title)
{
    if (c >= 0x80 && is_special(c, lower)) {
        jrun_fail(r, "the %s case of U+%04X is not supported", lower ? "lower" : "upper",
                  (unsigned)c);
        return;
    }
    if (c == 0xDF && !lower)
        str_puts(out, title ? "Ss" : "SS");
    else
        str_put_utf8(out, (uint32_t)(lower   ? utf8proc_tolower(c)
                                     : title ? utf8proc_totitle(c)
                                             : utf8proc_toupper(c)));
}

struct jv jtext_case(struct jrun *r, struct slice s, enum jcase how)
{
    struct str out = {0};
    bool after_cased = false;
    for (size_t at = 0; at < s.length && jrun_charge(r, 1);) {
        int32_t c;
        size_t n = (size_t)utf8_decode(s.data + at, s.length - at, &c);
        bool first = how == CASE_TITLE ? !after_cased : how == CASE_CAPITALIZE && at == 0;
        put_cased(r, &out, c, how == CASE_LOWER || (how != CASE_UPPER && !first), first);
        after_cased = is_cased(c);
        at += n;
    }
    return jv_take(r, &out);
}

/* --- replace and split --- */

/* First or last `needle` in s, or NULL. */
static const char *find(struct slice s, struct slice needle, bool last)
{
    if (needle.length > s.length)
        return NULL;
    if (!last)
        return memmem(s.data, s.length, needle.data, needle.length);
    for (size_t at = s.length - needle.length + 1; at-- > 0;)
        if (memcmp(s.data + at, needle.data, needle.length) == 0)
            return s.data + at;
    return NULL;
}

/* An empty `old` stands before each character and at the end. */
static void replace_empty(struct str *out, struct slice s, struct slice fresh, long long count)
{
    size_t at = 0;
    int32_t c;
    while (count != 0) {
        str_append(out, fresh.data, fresh.length);
        count--;
        if (at >= s.length)
            break;
        size_t n = (size_t)utf8_decode(s.data + at, s.length - at, &c);
        str_append(out, s.data + at, n);
        at += n;
    }
    str_append(out, s.data + at, s.length - at);
}

struct jv jtext_replace(struct jrun *r, struct slice s, struct slice old, struct slice fresh,
                        long long count)
{
    struct str out = {0};
    size_t most = old.length ? s.length / old.length + 1 : s.length + 1;
    size_t grown = 0;
    if (!jrun_charge(r, 1 + s.length / 16) ||
        (fresh.length > old.length && (!mem_mul(&grown, most, fresh.length) || grown > r->bytes)))
        return r->status ? jv_none() : jrun_fail(r, "a replacement may become too long");
    if (!old.length) {
        replace_empty(&out, s, fresh, count);
        return jv_take(r, &out);
    }
    for (const char *at; count != 0 && (at = find(s, old, false)); count--) {
        size_t before = (size_t)(at - s.data);
        str_append(&out, s.data, before);
        str_append(&out, fresh.data, fresh.length);
        s.data += before + old.length;
        s.length -= before + old.length;
    }
    str_append(&out, s.data, s.length);
    return jv_take(r, &out);
}

struct pieces {
    struct slice *items;
    size_t n, capacity;
};

static void add_piece(struct jrun *r, struct pieces *p, struct slice s)
{
    if (p->n == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 8;
        struct slice *items = jrun_alloc(r, capacity, sizeof *items);
        if (!items)
            return;
        if (p->n)
            memcpy(items, p->items, p->n * sizeof *items);
        p->items = items;
        p->capacity = capacity;
    }
    p->items[p->n++] = s;
}

static struct jv pieces_list(struct jrun *r, const struct pieces *p, bool reversed)
{
    struct jv list = jv_list(r, J_LIST, p->n);
    for (size_t i = 0; i < p->n && !r->status; i++) {
        struct slice s = p->items[reversed ? p->n - 1 - i : i];
        list.as.list->items[i] = jv_slice(s.data, s.length);
    }
    return list;
}

/* Cuts off the first (or last) word of s. */
static struct slice next_word(struct slice *s, bool right)
{
    size_t n = 0;
    int32_t c;
    if (!right) {
        while (n < s->length) {
            size_t step = (size_t)utf8_decode(s->data + n, s->length - n, &c);
            if (jtext_is_space(c))
                break;
            n += step;
        }
        struct slice word = {s->data, n};
        s->data += n;
        s->length -= n;
        return word;
    }
    size_t at = s->length;
    while (at) {
        size_t previous = at - 1;
        while (previous && ((unsigned char)s->data[previous] & 0xC0) == 0x80)
            previous--;
        utf8_decode(s->data + previous, s->length - previous, &c);
        if (jtext_is_space(c))
            break;
        at = previous;
    }
    struct slice word = {s->data + at, s->length - at};
    s->length = at;
    return word;
}

static void split_words(struct jrun *r, struct pieces *p, struct slice s, long long most,
                        bool right)
{
    for (;;) {
        s = jtext_strip(s, NULL, !right, right);
        if (!s.length || r->status)
            return;
        if (most == 0) {
            add_piece(r, p, s); /* the rest, its far end as it is */
            return;
        }
        add_piece(r, p, next_word(&s, right));
        most--;
    }
}

struct jv jtext_split(struct jrun *r, struct slice s, const struct jv *sep, long long most,
                      bool right)
{
    struct pieces p = {0};
    if (!jrun_charge(r, 1 + s.length / 16))
        return jv_none();
    if (sep->kind != J_TEXT) {
        split_words(r, &p, s, most, right);
        return pieces_list(r, &p, right);
    }
    struct slice by = sep->as.text;
    if (!by.length)
        return jrun_fail(r, "cannot split at an empty text");
    for (const char *at; most != 0 && !r->status && (at = find(s, by, right)); most--) {
        size_t before = (size_t)(at - s.data), after = before + by.length;
        if (right) {
            add_piece(r, &p, (struct slice){s.data + after, s.length - after});
            s.length = before;
        } else {
            add_piece(r, &p, (struct slice){s.data, before});
            s.data += after;
            s.length -= after;
        }
    }
    add_piece(r, &p, s);
    return pieces_list(r, &p, right);
}

static bool ends_line(int32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

struct jv jtext_lines(struct jrun *r, struct slice s, bool keep)
{
    struct pieces p = {0};
    size_t start = 0;
    for (size_t at = 0; at < s.length && jrun_charge(r, 1);) {
        int32_t c;
        size_t n = (size_t)utf8_decode(s.data + at, s.length - at, &c), end = at;
        at += n;
        if (!ends_line(c))
            continue;
        at += c == '\r' && at < s.length && s.data[at] == '\n';
        add_piece(r, &p, (struct slice){s.data + start, (keep ? at : end) - start});
        start = at;
    }
    if (start < s.length)
        add_piece(r, &p, (struct slice){s.data + start, s.length - start});
    return pieces_list(r, &p, false);
}

/* --- the rest --- */

struct jv jtext_escape(struct jrun *r, struct slice s)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    struct str out = {0};
    for (size_t i = 0; i < s.length && jrun_charge(r, 1); i++) {
        const char *known = s.data[i] ? strchr(from, s.data[i]) : NULL;
        if (known)
            str_puts(&out, to[known - from]);
        else
            str_putc(&out, s.data[i]);
    }
    struct jv v = jv_take(r, &out);
    v.safe = true;
    return v;
}

struct jv jtext_join(struct jrun *r, struct slice between, const struct jv *items, bool strict)
{
    struct str out = {0};
    const struct jlist *list = items->as.list;
    for (size_t i = 0; i < list->count && !r->status; i++) {
        if (i)
            str_append(&out, between.data, between.length);
        if (strict && list->items[i].kind != J_TEXT)
            jrun_fail(r, ".join() wants texts, item %zu is %s", i, jv_type(&list->items[i]));
        else if (strict && list->items[i].safe)
            jrun_fail(r, ".join() of safe texts is not supported");
        else
            jv_print(r, &out, &list->items[i]);
        if (out.length > r->output)
            jrun_fail(r, "a text becomes too long");
    }
    return jv_take(r, &out);
}
