// SPDX-License-Identifier: Apache-2.0
// An application beside the checked memory: a script /apps/NAME, watched from its start to its end.
#ifndef SLACKWATER_APP_H
#define SLACKWATER_APP_H

#include <stdbool.h>

enum { APP_OUTPUT_MAX = 600 };

struct app_status {
    const char *name;  /* NULL: this guest has no application */
    const char *state; /* "starting", "running", "ended" */
    int exit_code;     /* when ended by itself, else -1 */
    int signal;        /* that ended it, else 0 */
    char output[APP_OUTPUT_MAX + 1]; /* the last of what it printed */
};

/*
 * Starts /apps/NAME with this process's environment. It is running once it prints a line "SLACKWATER-APP running".
 * False: it cannot be started at all.
 */
bool app_start(const char *name);

void app_get_status(struct app_status *out);

#endif
