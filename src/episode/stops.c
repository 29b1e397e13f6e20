/* stops.c: stop strings by Knuth, Morris and Pratt; see stops.h.
 *
 * For each stop string a completion carries one number: how many of its bytes the text so far ends
 * in. A byte that does not continue it falls back along the string's borders. So nothing of the
 * text is kept or looked at twice, however a stop string is spread over tokens. */
#include "episode/stops.h"
#include <stdint.h>
#include <string.h>
#include "base/mem.h"

static void find_borders(struct stop_string *s)
{
    s->border[0] = -1;
    for (int i = 0, k = -1; i < s->length; s->border[++i] = ++k)
        while (k >= 0 && s->text[i] != s->text[k])
            k = s->border[k];
}

static int add_string(struct stop_strings *s, struct arena *arena, const char *text,
                      const char *where, struct err *err)
{
    size_t n = strlen(text);
    if (!n)
        return err_set(err, ERR_USAGE, where, "is empty: it would stop every completion at once");
    if (!utf8_valid(text, n))
        return err_set(err, ERR_USAGE, where, "is not valid UTF-8");
    if (n > INT32_MAX / 8)
        return err_set(err, ERR_USAGE, where, "has %zu bytes; no completion is that long", n);
    struct stop_string *item = &s->items[s->count];
    *item = (struct stop_string){.text = arena_strndup(arena, text, n), .length = (int)n};
    item->border = arena_alloc(arena, (n + 1) * sizeof *item->border);
    if (!item->text || !item->border)
        return err_no_memory(err, where, n);
    find_borders(item);
    s->count++;
    return ERR_NONE;
}

int stop_strings_create(struct stop_strings *s, const struct text_codec *codec,
                        const char *const *texts, size_t n, const char *where, struct err *err)
{
    *s = (struct stop_strings){0};
    if (!n)
        return ERR_NONE;
    if (!codec->tokenizer)
        return err_set(err, ERR_USAGE, where,
                       "is a text but the model's folder has no tokenizer.json to find it with");
    struct arena *arena = mem_calloc(1, sizeof *arena);
    s->storage = arena;
    s->items = mem_calloc(n, sizeof *s->items);
    int status = arena && s->items ? ERR_NONE : err_no_memory(err, where, n * sizeof *s->items);
    for (size_t i = 0; i < n && !status; i++)
        status = add_string(s, arena, texts[i], where, err);
    if (status)
        stop_strings_free(s);
    return status;
}

void stop_strings_free(struct stop_strings *s)
{
    if (s->storage)
        arena_free(s->storage);
    mem_free(s->storage);
    mem_free(s->items);
    *s = (struct stop_strings){0};
}

int stop_watch_reset(struct stop_watch *w, const struct stop_strings *s,
                     const struct text_codec *codec, struct err *err)
{
    stop_watch_free(w);
    memset(w->matched, 0, (size_t)s->count * sizeof *w->matched);
    return decode_stream_create(&w->stream, codec->tokenizer, false, err);
}

void stop_watch_free(struct stop_watch *w)
{
    decode_stream_free(w->stream);
    w->stream = NULL;
}

static bool feed(const struct stop_string *s, int *matched, const char *bytes, size_t n)
{
    int k = *matched;
    for (size_t i = 0; i < n; i++) {
        while (k >= 0 && s->text[k] != bytes[i])
            k = s->border[k];
        if (++k == s->length)
            return true;
    }
    *matched = k;
    return false;
}

int stop_watch_next(struct stop_watch *w, const struct stop_strings *s,
                    const struct text_codec *codec, int id, struct str *piece, bool *hit,
                    struct err *err)
{
    *hit = false;
    /* A model's vocabulary may be padded beyond the tokenizer's: such ids stand for nothing. */
    if (id >= tokenizer_vocab_size(codec->tokenizer))
        return ERR_NONE;
    str_clear(piece);
    int status = decode_stream_put(w->stream, piece, id, err);
    for (int i = 0; i < s->count && !status && !*hit; i++)
        *hit = feed(&s->items[i], &w->matched[i], str_text(piece), piece->length);
    return status;
}
