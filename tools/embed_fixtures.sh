#!/bin/sh
# Writes C source that holds the fixtures of the rewards (FOLDER/NAME.jsonl), so that the program can judge
# its rewards anywhere. Bytes as numbers: a fixture may hold what a compiler reads meaning into (trigraphs,
# direction marks). The Makefile runs it; `tools/embed_fixtures.sh FOLDER >FILE.c`.
set -eu
folder=$1
echo "/* Made by tools/embed_fixtures.sh from $folder/. */"
echo '#include "reward/fixtures.h"'
names=$(cd "$folder" && LC_ALL=C ls *.jsonl | sed 's/\.jsonl$//')
for name in $names; do
    echo "static const unsigned char file_$name[] = {"
    od -An -v -tu1 "$folder/$name.jsonl" | sed 's/  *\([0-9]\)/\1/; s/  */,/g; s/$/,/'
    echo '};'
done
echo 'const struct fixture_file fixture_files[] = {'
for name in $names; do
    echo "    {\"$name\", file_$name, sizeof file_$name},"
done
echo '};'
echo 'const int n_fixture_files = (int)(sizeof fixture_files / sizeof *fixture_files);'
