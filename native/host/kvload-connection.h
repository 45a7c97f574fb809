// SPDX-License-Identifier: Apache-2.0
// A connection to the server that comes back by itself after it broke.
#ifndef SLACKWATER_KVLOAD_CONNECTION_H
#define SLACKWATER_KVLOAD_CONNECTION_H

#include <poll.h>
#include "kvload-records.h"
#include "kvload-wire.h"

enum connection_state { CONNECTION_DOWN, CONNECTION_CONNECTING, CONNECTION_IDLE, CONNECTION_BUSY };

struct connection {
    const struct settings *settings;
    enum connection_state state;
    int fd;
    ns_t since_ns;     /* idle since; or, while down, when to try again */
    char *out;         /* room for `out_bytes` */
    size_t out_bytes, out_used, out_sent;
    char *in;          /* one reply */
    size_t in_bytes, in_used;
    int awaited;       /* replies still to come */
    uint64_t request;  /* what the reply belongs to */
    struct choice choice;
    uint32_t oldest;
};

/* With room for `batch` updates in one go. Down at first. */
void connection_create(struct connection *c, const struct settings *s, int batch);

/* Begins to connect when it is down and its time has come. */
void connection_revive(struct connection *c, ns_t at_ns);

/* What to wait for; a descriptor of -1 while down. */
struct pollfd connection_poll(const struct connection *c);

/* Sends and receives what it can. False: the connection broke; the caller ends its request and calls connection_drop. */
bool connection_advance(struct connection *c, short events);

/* Sends what is in `out`, from where it is; BUSY from now on. False: as above. */
bool connection_send(struct connection *c, int replies);

/* Takes the first whole reply out of what came; valid until connection_taken. */
struct reply connection_reply(const struct connection *c);
void connection_taken(struct connection *c, const struct reply *reply, ns_t at_ns);

/* Closes it; it comes back a little later. */
void connection_drop(struct connection *c, ns_t at_ns);

#endif
