/* fuzz_recipe.c: libFuzzer target: any bytes as a recipe, and their first line as an override,
 * against a small table with every type. Whatever loads must resolve to JSON that parses, nodes
 * must turn into JSON, and everything must be freed. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/check.h"
#include "recipe/option.h"

struct settings {
    bool flag;
    int count, choice;
    double rate;
    const char *text;
    struct string_list strings;
    struct int_list ints;
    const struct yaml_node *node;
};

static const char *const choices[] = {"one", "two", "three", NULL};

static const struct option top[] = {
    {"b", "flag", OPTION_BOOL, offsetof(struct settings, flag), 0, 0, NULL, "true", ""},
    {"i", "int", OPTION_INT, offsetof(struct settings, count), 1, 100, NULL, "5", ""},
    {"f", NULL, OPTION_FLOAT, offsetof(struct settings, rate), 0, INFINITY, NULL, NULL, ""},
    {"s", NULL, OPTION_STRING, offsetof(struct settings, text), 0, 0, NULL, "text", ""},
    {"c", NULL, OPTION_CHOICE, offsetof(struct settings, choice), 0, 0, choices, "two", ""},
};
static const struct option sub[] = {
    {"l", "list", OPTION_STRINGS, offsetof(struct settings, strings), 0, 0, NULL, "[a, b]", ""},
    {"n", "ints", OPTION_INTS, offsetof(struct settings, ints), 0, 0, NULL, NULL, ""},
    {"o", NULL, OPTION_NODE, offsetof(struct settings, node), 0, 0, NULL, NULL, ""},
};
static const struct recipe_reserved reserved[] = {{"later", "not yet"}, {"sub.later", "not yet"}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A path to the bytes that touches no disk. */
static int file_of(const uint8_t *data, size_t size, char path[40])
{
    int fd = memfd_create("recipe", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, 40, "/proc/self/fd/%d", fd);
    return fd;
}

static void check_loaded(recipe *r, const struct settings *s)
{
    struct str json = {0};
    char hash[65];
    struct err err;
    recipe_resolved(r, &json);
    json_t *parsed = json_read(str_text(&json), json.length, JSON_UNIQUE_KEYS, "", &err);
    CHECK(parsed);
    json_decref(parsed);
    str_free(&json);
    recipe_hash(r, hash);
    CHECK(strlen(hash) == 64);
    CHECK(s->count >= 1 && s->count <= 100 && s->choice >= 0 && s->choice < 3);
    CHECK(isnan(s->rate) || (s->rate >= 0 && isfinite(s->rate)));
    if (s->node) {
        json_t *node = recipe_node_json(s->node);
        CHECK(node);
        json_decref(node);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings s;
    const struct option_table tables[] = {
        {NULL, top, ARRAY_LENGTH(top), &s, false},
        {"sub", sub, ARRAY_LENGTH(sub), &s, false},
    };
    char path[40], line[200];
    size_t length = 0;
    while (length < size && length < sizeof line - 1 && data[length] && data[length] != '\n') {
        line[length] = (char)data[length];
        length++;
    }
    line[length] = 0;
    int fd = file_of(data, size, path);
    size_t blocks = mem_stats().live_blocks;
    for (size_t n_overrides = 0; n_overrides < 2; n_overrides++) {
        const char *const overrides[] = {line};
        recipe *r = NULL;
        struct err err = {0};
        int status = recipe_load(&r, n_overrides ? NULL : path, overrides, n_overrides, tables, 2,
                                 reserved, 2, &err);
        CHECK(status == ERR_NONE || (status == ERR_USAGE && err.message[0] && err.where[0]));
        if (!status)
            check_loaded(r, &s);
        recipe_free(r);
    }
    CHECK(mem_stats().live_blocks == blocks);
    close(fd);
    return 0;
}
