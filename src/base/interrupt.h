/* interrupt.h: SIGINT and SIGTERM as a flag that long work polls. */
#ifndef BASE_INTERRUPT_H
#define BASE_INTERRUPT_H
#include <stdbool.h>

/* From now on the first signal only sets the flag; a second one ends the program at once. */
void interrupt_catch(void);
bool interrupt_requested(void);

#endif
