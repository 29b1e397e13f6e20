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

static void install(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void interrupt_catch(void)
{
    install(SA_RESTART);
}

void interrupt_catch_reading(void)
{
    install(0);
}

bool interrupt_requested(void)
{
    return requested != 0;
}
