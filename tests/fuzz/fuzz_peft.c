/* fuzz_peft.c: any bytes as adapter_config.json. What is accepted has a rank, a finite scale and a
 * target, and written out again it reads back as the same. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "formats/peft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_config(const struct peft_config *c)
{
    bool any = false;
    for (int p = 0; p < N_PROJECTIONS; p++)
        any = any || c->targets[p];
    CHECK(any && c->r > 0 && isfinite(peft_scale(c)));
    struct str text = {0};
    struct err err = {0};
    struct peft_config again;
    CHECK(peft_config_write(&text, c, &err) == 0);
    CHECK(peft_config_parse(&again, text.data, text.length, "again", &err) == 0);
    CHECK(again.r == c->r && again.lora_alpha == c->lora_alpha);
    CHECK(again.lora_dropout == c->lora_dropout && again.use_rslora == c->use_rslora);
    CHECK(memcmp(again.targets, c->targets, sizeof c->targets) == 0);
    CHECK(strcmp(again.base_model, c->base_model) == 0);
    str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t blocks = mem_stats().live_blocks;
    struct peft_config config;
    struct err err = {0};
    int status = peft_config_parse(&config, data, size, "bytes", &err);
    CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0] && err.where[0]));
    if (!status)
        check_config(&config);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}
