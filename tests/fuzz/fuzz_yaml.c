/* fuzz_yaml.c: any bytes as YAML. What is accepted is a tree with lines in the text, texts where
 * there are scalars, and keys that are there once. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(const struct yaml_node *node, int lines)
{
    CHECK(node->line >= 0 && node->line <= lines);
    CHECK((node->kind == YAML_SCALAR) == (node->text != NULL));
    CHECK(node->kind != YAML_SCALAR || node->n_children == 0);
    for (size_t i = 0; i < node->n_children; i++) {
        const struct yaml_node *child = &node->children[i];
        CHECK((node->kind == YAML_MAPPING) == (child->key != NULL));
        CHECK(!child->key || yaml_find(node, child->key) == child);
        check_node(child, lines);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t blocks = mem_stats().live_blocks;
    struct yaml_node root;
    struct err err = {0};
    /* libyaml also ends lines at CR, NEL, LS and PS: bytes are a bound for their number. */
    int status = yaml_parse(&root, (const char *)data, size, "bytes", &err);
    CHECK(status == ERR_NONE ||
          (status == ERR_USAGE && err.message[0] && strncmp(err.where, "bytes:", 6) == 0));
    if (!status)
        check_node(&root, (int)size + 1);
    yaml_free(&root);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}
