// SPDX-License-Identifier: Apache-2.0
// The two phases of the load generator.
#ifndef SLACKWATER_KVLOAD_PHASES_H
#define SLACKWATER_KVLOAD_PHASES_H

#include <signal.h>
#include "kvload-connection.h"

enum { LOAD_BATCH = 16 };

/* Set by SIGTERM and SIGINT. */
extern volatile sig_atomic_t kv_stop;

/* Writes every record once, LOAD_BATCH at a time on each connection. Ends the program when the server refuses one. */
void load_records(struct connection *connections, const struct settings *s);

/* Sends requests on schedule until told to stop, one at a time on each connection; prints the rows. */
void run_requests(struct connection *connections, const struct settings *s);

/* Waits for the connections until `until_ns` at most; returns how many have something in events[]. */
int wait_for(struct connection *connections, struct pollfd *events, const struct settings *s, ns_t until_ns);

#endif
