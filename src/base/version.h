/* version.h: which grpo this is; printed by --version and recorded in run.json. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define GRPO_VERSION "0.1.0"

#ifdef __clang__
#define GRPO_COMPILER "clang " __clang_version__
#else
#define GRPO_COMPILER "gcc " __VERSION__
#endif

#endif
