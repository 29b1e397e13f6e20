/* fuzz_jsonl.c: any bytes as JSONL. Lines are counted up, each is an object or an error that names
 * its line, and the reader ends. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/check.h"
#include "base/mem.h"
#include "formats/jsonl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t blocks = mem_stats().live_blocks, lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    int fd = memfd_create("lines", MFD_CLOEXEC); /* a path to the bytes that touches no disk */
    char path[40];
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct jsonl_reader r;
    struct err err = {0};
    CHECK(jsonl_open(&r, path, &err) == 0);
    json_t *value;
    int got;
    long last = 0;
    while ((got = jsonl_next(&r, &value, &err)) == 1) {
        CHECK(r.line > last && r.line <= (long)lines);
        last = r.line;
        CHECK(value ? json_is_object(value) : err.code == ERR_INPUT && strstr(err.where, "line "));
        json_decref(value);
        err = (struct err){0};
    }
    CHECK(got == 0);
    jsonl_close(&r);
    close(fd);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}
