/* bench_tokenizer.c: text to ids, MB/s on one thread, processor time: a file as one text, and line
 * by line (each line a call of its own, as data is read).
 *
 *   build/release/bench/bench_tokenizer [tokenizer.json] [text file]
 *
 * Without arguments: the demo model's tokenizer on the README. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/file.h"
#include "tokenizer/tokenizer.h"

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int encode_lines(const tokenizer *t, struct ids *ids, const struct str *text, bool whole,
                        struct err *err)
{
    const char *at = str_text(text), *end = at + text->length;
    int status = 0;
    while (at < end && !status) {
        const char *newline = whole ? NULL : memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        status = tokenizer_encode(t, ids, at, (size_t)(stop - at), false, err);
        at = stop + 1;
    }
    return status;
}

static int measure(const tokenizer *t, const struct str *text, bool whole, struct err *err)
{
    double best = 1e30, total = 0;
    size_t count = 0;
    while (total < 1) {
        struct ids ids = {0};
        double start = processor_seconds();
        int status = encode_lines(t, &ids, text, whole, err);
        double took = processor_seconds() - start;
        count = ids.count;
        ids_free(&ids);
        if (status)
            return status;
        best = took < best ? took : best;
        total += took;
    }
    printf("%-12s %8.2f MB/s, %zu ids of %zu bytes\n", whole ? "one text" : "line by line",
           (double)text->length / best / 1e6, count, text->length);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct str text = {0};
    tokenizer *t = NULL;
    int status = tokenizer_open(&t, argc > 1 ? argv[1] : "assets/demo/model/tokenizer.json", &err);
    if (!status)
        status = file_read(&text, argc > 2 ? argv[2] : "README.md", &err);
    if (!status)
        status = measure(t, &text, true, &err);
    if (!status)
        status = measure(t, &text, false, &err);
    if (status)
        fprintf(stderr, "%s: %s\n", err.where, err.message);
    str_free(&text);
    tokenizer_free(t);
    return status;
}
