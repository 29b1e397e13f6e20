/* fuzz_chat.c: arbitrary messages through every known template. The first byte gives the number of
 * messages and whether an answer is asked for; each message is a byte for its role, then text up to
 * a 0xFF. Rendered text is valid, has one turn a message (and those a template adds), loses no text
 * of a user, and does not depend on what the buffer held before. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "tokenizer/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_MESSAGES = 16 };

static const char *const roles[] = {"system", "user", "assistant", "tool"};
static const char *const names[] = {"chatml", "smollm2", "qwen3"};

struct chat {
    struct chat_message messages[MAX_MESSAGES];
    size_t n;
    bool answer, known;
};

static bool read_chat(struct chat *c, const uint8_t *data, size_t size)
{
    if (!size)
        return false;
    size_t wanted = data[0] % (MAX_MESSAGES + 1), at = 1;
    c->answer = data[0] & 0x80;
    c->known = true;
    while (c->n < wanted && at < size) {
        struct chat_message *m = &c->messages[c->n++];
        m->role = roles[data[at++] % 4];
        c->known = c->known && m->role != roles[3];
        m->content = (const char *)data + at;
        const uint8_t *end = memchr(data + at, 0xFF, size - at);
        m->content_length = end ? (size_t)(end - data) - at : size - at;
        at += m->content_length + (end != NULL);
        if (!utf8_valid(m->content, m->content_length)) /* messages come out of JSON */
            return false;
    }
    return true;
}

static void check_template(const struct chat *c, const char *name)
{
    const struct chat_template *t = chat_template_find(name);
    CHECK(t);
    struct str out = {0}, again = {0};
    struct err err = {0};
    int status = chat_render(&out, t, c->messages, c->n, c->answer, &err);
    CHECK(status == (c->n && c->known ? ERR_NONE : ERR_INPUT));
    if (status)
        CHECK(err.message[0] && err.where[0]);
    else {
        CHECK(utf8_valid(str_text(&out), out.length));
        CHECK(strncmp(str_text(&out), "<|im_start|>", 12) == 0);
        for (size_t i = 0; i < c->n; i++)
            if (c->messages[i].role == roles[1] && c->messages[i].content_length)
                CHECK(memmem(out.data, out.length, c->messages[i].content,
                             c->messages[i].content_length));
        str_puts(&again, "before");
        CHECK(chat_render(&again, t, c->messages, c->n, c->answer, &err) == 0);
        CHECK(again.length == out.length + 6 && memcmp(again.data + 6, out.data, out.length) == 0);
    }
    str_free(&out);
    str_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t blocks = mem_stats().live_blocks;
    struct chat c = {0};
    if (read_chat(&c, data, size))
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
            check_template(&c, names[i]);
    CHECK(chat_template_recognise((const char *)data, size) == NULL ||
          size > 50); /* the shortest known template is longer */
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}
