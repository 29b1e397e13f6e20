/* interrupt.h: SIGINT and SIGTERM as a flag that long work polls. */
#ifndef BASE_INTERRUPT_H
#define BASE_INTERRUPT_H
#include <stdbool.h>

/* From now on the first signal only sets the flag; a second one ends the program at once. */
void interrupt_catch(void);
/* The same where long work also waits for its input: a signal ends a read that waits (EINTR). */
void interrupt_catch_reading(void);
bool interrupt_requested(void);

#endif
