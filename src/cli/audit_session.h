/* audit_session.h: a person scores the completions of an audit at the terminal. */
#ifndef CLI_AUDIT_SESSION_H
#define CLI_AUDIT_SESSION_H
#include "protocol/audit_job.h"

/* Shows what has no mark yet, one after another, on standard error, and takes a line each from
 * standard input: 0 to 10, s(kip), u(ndo), q(uit), ? for help. Every mark is saved at once. Shows
 * no automatic score, and no control character of a text. ERR_NONE also when some are left (quit,
 * end of input); ERR_INTERRUPTED on a signal. */
int audit_session(struct audit_job *j, struct err *err);

#endif
