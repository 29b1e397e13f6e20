/* sql_find.c: the SQL in a completion; see sql_find.h. In prose a statement ends at the first ;
 * outside of quotes: what follows it there is prose again, unless it begins like one more statement
 * ("; DROP TABLE …"), which is said and not swallowed. Between single backquotes it ends there, and
 * the full stop of a sentence is no part of it. */
#include "reward/sql_find.h"
#include <string.h>
#include "base/check.h"
#include "reward/rewards.h"

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* The word (in capitals) stands at t[i], whole. */
static bool word_at(struct slice t, size_t i, const char *word)
{
    size_t n = strlen(word);
    if (t.length - i < n || (i && is_word_byte(t.data[i - 1])))
        return false;
    for (size_t k = 0; k < n; k++) {
        char c = t.data[i + k];
        if ((c >= 'a' && c <= 'z' ? c - 32 : c) != word[k])
            return false;
    }
    return i + n == t.length || !is_word_byte(t.data[i + n]);
}

static size_t skip_white(struct slice t, size_t i)
{
    while (i < t.length && strchr(" \t\r\n", t.data[i]) && t.data[i])
        i++;
    return i;
}

/* SELECT and something, or WITH, a name, and AS or ( */
static bool query_at(struct slice t, size_t i)
{
    if (word_at(t, i, "SELECT"))
        return skip_white(t, i + 6) < t.length;
    if (!word_at(t, i, "WITH"))
        return false;
    size_t at = skip_white(t, i + 4);
    if (word_at(t, at, "RECURSIVE"))
        return true;
    size_t name = at;
    while (at < t.length && at - name < 100 && is_word_byte(t.data[at]))
        at++;
    size_t next = skip_white(t, at);
    return at > name && next < t.length && (word_at(t, next, "AS") || t.data[next] == '(');
}

static bool statement_at(struct slice t, size_t i)
{
    static const char *const words[] = {"INSERT",  "UPDATE",  "DELETE",    "DROP",     "CREATE",
                                        "ALTER",   "ATTACH",  "DETACH",    "PRAGMA",   "VACUUM",
                                        "REPLACE", "BEGIN",   "COMMIT",    "ROLLBACK", "EXPLAIN",
                                        "REINDEX", "ANALYZE", "SAVEPOINT", "VALUES"};
    if (query_at(t, i))
        return true;
    for (size_t k = 0; k < ARRAY_LENGTH(words); k++)
        if (word_at(t, i, words[k]))
            return true;
    return false;
}

static struct slice trimmed(struct slice t)
{
    return reward_trim(t.data, t.length);
}

/* Three or more backquotes, or tildes that begin a line, at i: how many; else 0. */
static size_t marks_at(struct slice t, size_t i)
{
    size_t n = 0, before = i;
    char c = t.data[i];
    if ((c != '`' && c != '~') || (c == '~' && i > 0 && t.data[i - 1] == '~')) /* linear */
        return 0;
    while (i + n < t.length && t.data[i + n] == c)
        n++;
    while (n >= 3 && before > 0 && (t.data[before - 1] == ' ' || t.data[before - 1] == '\t'))
        before--;
    bool line = before == 0 || t.data[before - 1] == '\n';
    return n >= 3 && (c == '`' || line) ? n : 0;
}

bool sql_fence_next(struct sql_fence *f, struct slice t, size_t at)
{
    size_t n = 0, closing = 0;
    while (at < t.length && !(n = marks_at(t, at)))
        at++;
    f->open = at;
    f->close = f->inside = at + n;
    if (!n)
        return false;
    while (f->close < t.length &&
           !(t.data[f->close] == t.data[at] && (closing = marks_at(t, f->close)) >= n))
        f->close += closing ? closing : 1, closing = 0;
    f->behind = f->close + closing;
    return true;
}

static struct slice between(struct slice t, size_t from, size_t to)
{
    return trimmed((struct slice){t.data + from, to - from});
}

static bool find_fence(struct sql_found *out, struct slice t)
{
    struct sql_fence f;
    for (size_t at = 0; sql_fence_next(&f, t, at); at = f.behind) {
        size_t mark = f.inside;
        while (mark < f.close && (t.data[mark] == ' ' || t.data[mark] == '\t'))
            mark++;
        size_t from = mark;
        while (from < f.close && is_word_byte(t.data[from]))
            from++;
        bool marked = from > mark && (word_at(t, mark, "SQL") || word_at(t, mark, "SQLITE"));
        /* ```SELECT 1``` has no mark: its first word is the statement's */
        if (from > mark && !marked && statement_at(t, mark))
            from = mark;
        struct slice inside = between(t, from, f.close);
        if (inside.length && (marked || statement_at(inside, 0))) {
            *out = (struct sql_found){.place = SQL_FENCE, .sql = inside};
            return true;
        }
    }
    return false;
}

/* The end of the statement at i: its ; (*semicolon), an empty line, a fence, what closes a bracket
 * or a tag (<sql>…</sql>) around it, or the end. */
static size_t statement_end(struct slice t, size_t i, bool *semicolon)
{
    char quote = 0;
    size_t depth = 0;
    *semicolon = false;
    for (; i < t.length; i++) {
        char c = t.data[i];
        if (quote) {
            quote = c == quote ? 0 : quote;
            continue;
        }
        if (c == '\'' || c == '"') {
            quote = c;
        } else if (c == ';') {
            *semicolon = true;
            return i;
        } else if (c == '\n') {
            size_t next = i + 1;
            while (next < t.length && strchr(" \t\r", t.data[next]) && t.data[next])
                next++;
            if (next == t.length || t.data[next] == '\n')
                return i;
        } else if ((c == '`' && marks_at(t, i)) || (c == ')' && depth == 0) ||
                   (c == '<' && i + 1 < t.length && t.data[i + 1] == '/')) {
            return i;
        }
        depth += c == '(';
        depth -= c == ')';
    }
    return t.length;
}

/* What runs to the end of the text inside a quote has none: its paragraph is the statement then. */
static size_t paragraph_end(struct slice t, size_t i)
{
    const char *end = memmem(t.data + i, t.length - i, "\n\n", 2);
    return end ? (size_t)(end - t.data) : t.length;
}

/* The mark that closes `SELECT …` whose statement is t[i, end), or its end: the first ` that opens
 * no name of its own ("FROM `pedidos`") and stands in no quotes. */
static size_t inline_end(struct slice t, size_t i, size_t end)
{
    char quote = 0;
    for (; i < end; i++) {
        char c = t.data[i];
        bool opens = !quote && strchr(" \t\r\n,(.=", t.data[i - 1]);
        if (c == '`' && !quote && !opens)
            return i;
        if (quote ? c == quote : c == '\'' || c == '"' || c == '`')
            quote = quote ? 0 : c;
    }
    return end;
}

struct sql_found sql_find(const char *text, size_t length)
{
    struct slice t = {text, length};
    struct sql_found out = {0};
    if (find_fence(&out, t))
        return out;
    for (size_t i = 0; i < length; i++) {
        if (!strchr("sSwW", text[i]) || !text[i] || !query_at(t, i))
            continue;
        bool semicolon;
        size_t end = statement_end(t, i, &semicolon), paragraph = paragraph_end(t, i);
        if (!semicolon && end == length && paragraph < end)
            end = paragraph;
        size_t line = i; /* EXPLAIN SELECT, INSERT INTO t SELECT: the statement begins before */
        while (line > 0 && text[line - 1] != '\n')
            line--;
        line = skip_white(t, line);
        i = line < i && statement_at(t, line) ? line : i;
        size_t close = i && text[i - 1] == '`' ? inline_end(t, i, end) : end;
        semicolon = semicolon && close == end;
        end = close;
        out.place = SQL_PROSE;
        out.sql = trimmed((struct slice){text + i, end - i});
        while (!semicolon && out.sql.length && out.sql.data[out.sql.length - 1] == '.')
            out.sql.length--; /* of the sentence: no query ends with one that it needs */
        bool bold = i >= 2 && memcmp(text + i - 2, "**", 2) == 0;
        const char *stars = bold ? memmem(out.sql.data, out.sql.length, "**", 2) : NULL;
        if (stars)
            out.sql.length = (size_t)(stars - out.sql.data);
        out.stacked = semicolon && statement_at(t, skip_white(t, end + 1));
        return out;
    }
    return out;
}
