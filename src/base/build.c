/* build.c: see build.h. */
#include "base/build.h"

const char *build_version(void)
{
    return "0.1.0";
}

const char *build_compiler(void)
{
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}
