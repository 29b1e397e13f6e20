/* strip_think.c: a completion without what the model thought aloud; see reward.h.
 *
 * One pass with a depth: text is kept where the depth is 0. What the removal of a block brings
 * together is not looked at again, so "<thi<think>x</think>nk>" leaves the text "<think>": a second
 * pass would let a completion hide text from one reader and show it to another. */
#include <string.h>
#include "reward/reward.h"

/* Whether `text` starts with the tag, ASCII case ignored. `tag` is in lower case. */
static bool starts_with(const char *text, size_t length, const char *tag, size_t tag_length)
{
    if (length < tag_length)
        return false;
    for (size_t i = 0; i < tag_length; i++) {
        char c = text[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c + 32) : c) != tag[i])
            return false;
    }
    return true;
}

void strip_think(struct str *out, const char *text, size_t length)
{
    static const char open[] = "<think>", close[] = "</think>";
    size_t depth = 0, kept = 0; /* `kept`: where the text begins that is not yet written */
    for (size_t i = 0; i < length;) {
        size_t tag = 0;
        if (text[i] == '<') {
            if (starts_with(text + i, length - i, open, sizeof open - 1))
                tag = sizeof open - 1;
            else if (starts_with(text + i, length - i, close, sizeof close - 1))
                tag = sizeof close - 1;
        }
        if (!tag) {
            i++;
            continue;
        }
        if (depth == 0)
            str_append(out, text + kept, i - kept);
        if (tag == sizeof open - 1)
            depth++;
        else if (depth > 0)
            depth--;
        i += tag;
        kept = i;
    }
    if (depth == 0 && length > kept)
        str_append(out, text + kept, length - kept);
}
