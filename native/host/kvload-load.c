// SPDX-License-Identifier: Apache-2.0
// The first phase: every record is written once. Here several requests go in one packet, for this is not measured.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kvload-phases.h"

#define PATIENCE_NS (20 * NS_PER_SEC)

static void take_replies(struct connection *c, uint32_t *stored)
{
    for (struct reply r; c->awaited > 0 && (r = connection_reply(c)).kind != REPLY_INCOMPLETE;) {
        if (r.kind != REPLY_STORED)
            kv_die("the server refused a record while loading: %.*s", r.kind == REPLY_ERROR ? (int)r.value_length : 0, r.value);
        connection_taken(c, &r, clock_ns());
        (*stored)++;
    }
}

static bool send_batch(struct connection *c, const struct settings *s, uint32_t *next)
{
    int batch = 0;
    c->out_used = 0;
    while (batch < LOAD_BATCH && *next < s->records) {
        char *value;
        c->out_used += wire_set(s->protocol, c->out + c->out_used, *next, s->value_bytes, &value);
        records_begin_update(*next, value);
        /* Should it not be confirmed, then loading fails as a whole. */
        records_end_update((*next)++, true);
        batch++;
    }
    return connection_send(c, batch);
}

void load_records(struct connection *connections, const struct settings *s)
{
    struct pollfd *events = calloc((size_t)s->connections, sizeof *events);
    uint32_t next = 0, stored = 0;
    ns_t started_ns = clock_ns(), progress_ns = started_ns;
    while (stored < s->records && !kv_stop) {
        uint32_t before = stored;
        wait_for(connections, events, s, clock_ns() + 100 * NS_PER_MS);
        for (int i = 0; i < s->connections; i++) {
            struct connection *c = &connections[i];
            bool alive = events[i].revents == 0 || connection_advance(c, events[i].revents);
            if (alive)
                take_replies(c, &stored);
            if (alive && c->state == CONNECTION_IDLE && next < s->records)
                alive = send_batch(c, s, &next);
            if (alive)
                continue;
            if (c->state == CONNECTION_BUSY)
                kv_die("the server closed a connection while loading");
            connection_drop(c, clock_ns());
        }
        if (stored > before)
            progress_ns = clock_ns();
        if (clock_ns() - progress_ns > PATIENCE_NS)
            kv_die("loading stands still: %u of %u records are stored", stored, s->records);
    }
    printf("{\"loaded\":%u,\"tookMs\":%.0f}\n", stored, (double)(clock_ns() - started_ns) / 1e6);
    fflush(stdout);
    free(events);
}
