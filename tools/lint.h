/* lint.h: put in front of every file by `make lint` alone, for clang-tidy's sake. It sees one file
 * at a time and so does not know that these two never return 0: without that, every `status =
 * err_no_memory(…)` opens a path on which the missing block is used. */
#include "base/err.h"

#define err_set(err, code, ...) ((void)err_set((err), (code), __VA_ARGS__), (int)(code))
#define err_no_memory(...) ((void)err_no_memory(__VA_ARGS__), (int)ERR_MACHINE)
