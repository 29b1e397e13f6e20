/* sql_functions.h: SQLite's text functions whose work no count of steps can see, written again with
 * a count: LIKE, GLOB, instr, replace, trim, ltrim, rtrim, upper, lower, length, substr, printf. */
#ifndef REWARD_SQL_FUNCTIONS_H
#define REWARD_SQL_FUNCTIONS_H
#include <sqlite3.h>
#include <stdint.h>

/* Each call takes from *steps one for 32 bytes or 4 comparisons; when nothing is left the statement
 * ends with SQLITE_INTERRUPT, as from a progress handler. Values are those of SQLite's own
 * functions (checked against them by the tests), but LIKE and GLOB match no blob, and format takes
 * widths and precisions up to 1,000 and only %d i u f e E g G x X o s c and %%. An SQLite code. */
int sql_functions_add(sqlite3 *db, int64_t *steps);

#endif
