#!/bin/sh
# Writes src/reward/schema_default.c, the copy of schemas/review_extraction.json in the program.
# Run from the repository's root after a change of the schema.
set -eu
{
    cat <<'HEAD'
/* schema_default.c: schemas/review_extraction.json, byte for byte, so that the program needs no
 * file to score reviews. Made by tools/embed_schema.sh; a test compares the two. */
#include "reward/schema.h"

/* clang-format off */
const char schema_default_text[] =
HEAD
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/    "&\\n"/' -e '$s/$/;/' schemas/review_extraction.json
    echo '/* clang-format on */'
} >src/reward/schema_default.c
