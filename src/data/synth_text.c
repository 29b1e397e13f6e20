/* synth_text.c: seeded draws, sentences with gaps and Brazilian numbers (synth_text.h). Sentences
 * are written once, for both genders: the gaps carry the agreement. */
#include <string.h>
#include "data/synth_text.h"

unsigned draw(struct draws *d, unsigned n)
{
    return (unsigned)rng_below(&d->key, d->next++, n);
}

unsigned draw_between(struct draws *d, unsigned low, unsigned high)
{
    return low + draw(d, high - low + 1);
}

bool draw_chance(struct draws *d, unsigned percent)
{
    return draw(d, 100) < percent;
}

unsigned draw_weighted(struct draws *d, const unsigned char *weights, unsigned sum)
{
    unsigned at = draw(d, sum), i = 0;
    while (at >= weights[i])
        at -= weights[i++];
    return i;
}

void fill_slot(struct fill *f, char name, const char *text)
{
    f->slot[name - 'a'] = text;
}

void fill_product(struct fill *f, const struct synth_product *p)
{
    f->feminine = p->feminine;
    fill_slot(f, 'p', p->name);
}

static const char *gap(const struct fill *f, char name)
{
    switch (name) {
    case 'U':
        return f->feminine ? "uma" : "um";
    case 'E':
        return f->feminine ? "ela" : "ele";
    case 'B':
        return f->feminine ? "boa" : "bom";
    case 'S':
        return f->feminine ? "sua" : "seu";
    case 'O':
        return f->feminine ? "A" : "O";
    default:
        return NULL;
    }
}

void fill_put(struct str *out, const char *sentence, const struct fill *f)
{
    for (const char *s = sentence; *s; s++) {
        if (*s == '@') {
            str_putc(out, f->feminine ? 'a' : 'o');
        } else if (*s != '{') {
            str_putc(out, *s);
        } else {
            char name = s[1];
            const char *text = gap(f, name);
            s += 2;
            CHECK(*s == '}');
            if (text) {
                str_puts(out, text);
                continue;
            }
            bool capital = name >= 'A' && name <= 'Z';
            text = f->slot[(capital ? name - 'A' : name - 'a')];
            CHECK(text);
            size_t start = out->length;
            str_puts(out, text);
            if (capital && !out->failed && out->data[start] >= 'a' && out->data[start] <= 'z')
                out->data[start] = (char)(out->data[start] - 'a' + 'A');
        }
    }
}

void put_money(struct str *out, long cents)
{
    long whole = cents / 100;
    if (whole >= 1000000)
        str_printf(out, "%ld.%03ld.%03ld", whole / 1000000, whole / 1000 % 1000, whole % 1000);
    else if (whole >= 1000)
        str_printf(out, "%ld.%03ld", whole / 1000, whole % 1000);
    else
        str_printf(out, "%ld", whole);
    str_printf(out, ",%02ld", cents % 100);
}

void put_tenths(struct str *out, long tenths)
{
    str_printf(out, "%ld", tenths / 10);
    if (tenths % 10)
        str_printf(out, ",%ld", tenths % 10);
}

/* U+00C0..U+00FF are C3 and a second byte; these are what Portuguese uses of them. */
void strip_accents(struct str *s)
{
    static const char plain[] = "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo/ouuuuyty";
    size_t n = 0;
    if (s->failed || !s->data)
        return;
    for (size_t i = 0; i < s->length; i++) {
        unsigned char c = (unsigned char)s->data[i];
        if (c == 0xC3 && i + 1 < s->length)
            s->data[n++] = plain[((unsigned char)s->data[++i] - 0x80) & 63];
        else
            s->data[n++] = (char)c;
    }
    s->length = n;
    s->data[n] = '\0';
}
