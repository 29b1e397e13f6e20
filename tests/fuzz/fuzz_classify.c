/* fuzz_classify.c: any rules over any text: what stands before the first NUL is YAML, the rest the
 * text. Rules that are read must give one of their own tasks, twice the same, and a folded text
 * must be valid, single-spaced, and its own folding. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "data/classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fold(const char *text, size_t length)
{
    struct str once = {0}, twice = {0};
    classify_fold(&once, text, length);
    classify_fold(&twice, str_text(&once), once.length);
    CHECK(utf8_valid(str_text(&once), once.length));
    CHECK(!once.length || (once.data[0] != ' ' && once.data[once.length - 1] != ' '));
    CHECK(!strstr(str_text(&once), "  "));
    CHECK(once.length == twice.length &&
          memcmp(str_text(&once), str_text(&twice), once.length) == 0);
    str_free(&once);
    str_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    const char *end = size ? memchr(bytes, 0, size) : NULL;
    size_t n = end ? (size_t)(end - bytes) : size;
    const char *text = end ? end + 1 : bytes;
    size_t length = end ? size - n - 1 : size;
    struct yaml_node root = {0};
    struct err err = {0};
    classifier *c = NULL;
    size_t blocks = mem_stats().live_blocks;
    check_fold(text, length);
    if (yaml_parse(&root, bytes, n, "fuzz", &err))
        return 0;
    int status = classifier_read(&c, &root, "classifier", &err);
    CHECK(status == ERR_NONE || (status == ERR_USAGE && err.message[0]));
    yaml_free(&root);
    for (int i = 0; !status && i < 2; i++) {
        const char *task, *again;
        int got = classifier_task(c, &task, text, length, &err);
        CHECK(got == ERR_NONE || got == ERR_INPUT);
        CHECK(classifier_task(c, &again, text, length, &err) == got && task == again);
        CHECK(!task || task[0]);
    }
    classifier_free(c);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}
