/* build.h: which program this is. */
#ifndef BASE_BUILD_H
#define BASE_BUILD_H

const char *build_version(void);  /* "0.1.0" */
const char *build_compiler(void); /* name and version of the compiler that made it */

#endif
