#!/bin/sh
# Installs the Debian packages that grpo is built with, those that are missing and no others.
# Asks nothing; needs root, or sudo. Written for Debian 12.
#
#   sh tools/deps.sh          to build and test
#   sh tools/deps.sh --dev    also what `make lint`, `make fuzz` and `make CC=clang` need
#   sh tools/deps.sh --cross  also what `make CROSS=aarch64` needs: Debian's arm64 libraries (the
#                             architecture is made known to dpkg), the compiler, qemu-user
#   sh tools/deps.sh --bench  also oneDNN, which `make bench` measures beside our own products
#   sh tools/deps.sh --list   only print the packages, one a line (with the others: theirs too)
set -eu

BUILD="gcc libc6-dev make pkg-config libjansson-dev libyaml-dev libpcre2-dev libutf8proc-dev
       libsqlite3-dev libssl-dev libcmocka-dev libsimde-dev"
# libclang-rt-dev: sanitizers and libFuzzer; llvm: readable reports.
DEV="clang clang-format clang-tidy cppcheck libclang-rt-dev llvm"
BENCH="libdnnl-dev"
CROSS="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
       $(printf '%s\n' $BUILD | sed -n '/^lib.*-dev$/{/libc6-dev/d; /libsimde-dev/d; s/$/:arm64/p}')"

say()
{
    printf 'deps: %s\n' "$*"
}

die()
{
    printf 'deps: %s\n' "$@" >&2
    exit 1
}

packages=$BUILD
list=no
cross=no
for argument in "$@"; do
    case $argument in
    --dev) packages="$packages $DEV" ;;
    --bench) packages="$packages $BENCH" ;;
    --cross) packages="$packages $CROSS" cross=yes ;;
    --list) list=yes ;;
    *) die "unknown option $argument; known: --dev, --bench, --cross, --list" ;;
    esac
done
if [ $list = yes ]; then
    printf '%s\n' $packages
    exit 0
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    die "this is no Debian system (apt-get is not here). Install what these Debian packages hold:" \
        "$(echo $packages)"
fi

# A library may be there for several architectures: this machine's counts, unless the name says.
native=$(dpkg --print-architecture)
is_installed()
{
    case $1 in
    *:*) wanted=${1#*:} ;;
    *) wanted="$native|all" ;;
    esac
    dpkg-query -W -f='${db:Status-Status} ${Architecture}\n' "$1" 2>/dev/null |
        grep -Eqx "installed ($wanted)"
}

has_candidate()
{
    apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [0-9]'
}

# Those of the arguments that a test is false for, separated by spaces.
without()
{
    test=$1
    shift
    for package in "$@"; do
        "$test" "$package" || printf ' %s' "$package"
    done
}

missing=$(without is_installed $packages)
if [ -z "$missing" ]; then
    say "nothing to install: all $(echo $packages | wc -w) packages are here"
    exit 0
fi

# Root does it itself; anyone else by sudo: silently, or with the password typed at a terminal.
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=sudo
elif command -v sudo >/dev/null && [ -t 0 ]; then
    say "sudo may want your password"
    as_root=sudo
else
    die "cannot install: you are not root, and sudo is not here or wants a password." \
        "Run this as root, or have someone do it:" "apt-get install$missing"
fi

apt()
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "$@" </dev/null
}

update()
{
    say "updating the package lists (apt-get update)"
    apt update -qq || say "apt-get update complained; going on with the lists that are here"
    updated=yes
}

if [ $cross = yes ] && ! dpkg --print-foreign-architectures | grep -qx arm64; then
    say "making arm64 known to dpkg"
    $as_root dpkg --add-architecture arm64
    update
else
    updated=no
fi
[ -z "$(without has_candidate $missing)" ] || update
unknown=$(without has_candidate $missing)
if [ -n "$unknown" ]; then
    die "the package archive does not have:$unknown" \
        "grpo is built for Debian 12 (bookworm), section main; this system is" \
        "$(. /etc/os-release && echo "$PRETTY_NAME"). Look at /etc/apt/sources.list and at" \
        "/etc/apt/sources.list.d, or install the equivalent by hand and go on with make."
fi

say "installing$missing"
if ! apt install -y -qq --no-install-recommends $missing; then
    [ $updated = no ] || die "apt-get install failed; its message stands above"
    update # lists older than the archive name files that are gone
    apt install -y -qq --no-install-recommends $missing ||
        die "apt-get install failed; its message stands above"
fi

still=$(without is_installed $missing)
[ -z "$still" ] || die "apt-get said yes, but these are still not installed:$still"
say "done"
