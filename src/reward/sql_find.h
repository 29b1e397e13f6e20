/* sql_find.h: the SQL in a completion. */
#ifndef REWARD_SQL_FIND_H
#define REWARD_SQL_FIND_H
#include <stdbool.h>
#include "base/str.h"

enum sql_place { SQL_NOWHERE, SQL_FENCE, SQL_PROSE };

struct sql_found {
    enum sql_place place;
    struct slice sql; /* in the text, trimmed, without the final ; of prose */
    bool stacked;     /* in prose: another statement follows (in a fence it is part of `sql`) */
};

/* What stands between marks: three or more ` or, where they begin a line, ~, and as many again or
 * the end of the text. Bytes: where the first ones begin and end, the last ones begin and end. */
struct sql_fence {
    size_t open, inside, close, behind;
};
/* The next one at or after `at`. false: none. */
bool sql_fence_next(struct sql_fence *f, struct slice t, size_t at);

/* The whole of the first fence that is marked sql or begins with a statement; else from the
 * first word SELECT, or WITH and a name, (or the statement that its line begins with) to its ; or
 * to an empty line or the end, or to the backquote that closes one before it; without the full stop
 * of a sentence. Linear. */
struct sql_found sql_find(const char *text, size_t length);

#endif
