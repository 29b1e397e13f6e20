/* interrupt.c: see interrupt.h. A signal handler can only reach static memory: this flag is the one
 * exception to "no globals". */
#include "base/interrupt.h"
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t requested;

static void on_signal(int number)
{
    if (requested) {
        signal(number, SIG_DFL);
        raise(number);
    }
    requested = 1;
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupt_requested(void)
{
    return requested != 0;
}
