#!/bin/sh
# Our probes beside other programs for the same questions, in turn, on a machine that does nothing
# else: do they agree? The others are C files in a folder, built as their own README says:
#
#   sh bench/limits/compare.sh FOLDER [times, default 3] [grpo, default build/release/grpo]
#
# FOLDER holds onednn_rate.c (needs libdnnl-dev: sh tools/deps.sh --bench) and read_bandwidth.c
# (needs AVX-512), and amx.c, which counts where the machine has AMX. All run on two threads, as those
# programs are written. Of every run of theirs the best line counts; of ours what `grpo bench` says of
# the machine. Printed: the medians of both, and ours ÷ theirs. About 1 minute a time.
set -eu

die()
{
    echo "compare: $*" >&2
    exit 1
}

[ $# -ge 1 ] || die "usage: sh bench/limits/compare.sh FOLDER [times] [grpo]"
folder=$1
times=${2:-3}
grpo=${3:-build/release/grpo}
[ -x "$grpo" ] || die "$grpo is not here: run make"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# A program whose source or needs are not here is left out, aloud.
build()
{
    [ -f "$folder/$1.c" ] || { echo "left out: $folder/$1.c is not here"; return; }
    if ! ${CC:-gcc} -O3 -march=native -fopenmp -w -o "$work/$1" "$folder/$1.c" $2 -lm 2>"$work/log"; then
        echo "left out: $1.c does not build here: $(grep -m 1 error "$work/log")"
    fi
}
build onednn_rate -ldnnl
build read_bandwidth ""
if grep -qw amx_bf16 /proc/cpuinfo; then
    build amx ""
fi

# The largest number before a unit, of the lines that begin with a word.
best() # program word unit
{
    [ ! -x "$work/$1" ] || awk -v word="^$2" -v unit="$3" '
        $0 ~ word {
            for (i = 2; i <= NF; i++)
                if ($i == unit && $(i - 1) + 0 > most)
                    most = $(i - 1) + 0
        }
        END { if (most) print most }' "$work/$1.out"
}

theirs()
{
    for program in onednn_rate read_bandwidth amx; do
        [ ! -x "$work/$program" ] || OMP_NUM_THREADS=2 "$work/$program" >"$work/$program.out"
    done
    { best onednn_rate bf16 GF/s; best amx packed GFLOP/s; } | sort -n | tail -n 1 >>"$work/bf16.theirs"
    best onednn_rate f32 GF/s >>"$work/f32.theirs"
    best read_bandwidth prefetch GB/s >>"$work/read.theirs"
}

ours()
{
    "$grpo" bench --quiet --json --threads 2 --shape builtin --part text --repeats 1 >"$work/ours.json"
    for pair in bf16:bf16_gflops f32:f32_gflops read:read_gbytes; do
        tr ',{}' '\n\n\n' <"$work/ours.json" |
            sed -n "s/^ *\"${pair#*:}\": *\([0-9.e+]*\).*/\1/p" >>"$work/${pair%%:*}.ours"
    done
}

i=0
while [ $i -lt "$times" ]; do
    theirs
    ours
    i=$((i + 1))
    paste -d ' ' "$work/bf16.theirs" "$work/bf16.ours" "$work/f32.theirs" "$work/f32.ours" \
        "$work/read.theirs" "$work/read.ours" | tail -n 1 |
        awk -v i=$i '{ printf "run %d: bf16 %.4g, ours %.4g; f32 %.4g, ours %.4g; read %.3g, ours %.3g\n",
                       i, $1, $2, $3, $4, $5, $6 }'
done

median()
{
    sort -n "$1" | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

printf '%-28s %10s %10s %8s\n' "medians of $times" theirs ours ratio
row()
{
    theirs=$(median "$work/$1.theirs")
    ours=$(median "$work/$1.ours")
    [ -n "$theirs" ] || { printf '%-28s %10s %10.4g %8s\n' "$2" - "$ours" -; return; }
    awk -v name="$2" -v a="$theirs" -v b="$ours" 'BEGIN {
        apart = (b / a > 1.1 || b / a < 0.9) ? "  more than 10% apart" : ""
        printf "%-28s %10.4g %10.4g %8.3f%s\n", name, a, b, b / a, apart
    }'
}
row bf16 "bf16 products, GFLOP/s"
row f32 "f32 products, GFLOP/s"
row read "reading, GB/s"
