// SPDX-License-Identifier: Apache-2.0
// The second phase: requests at a stated rate, whether the server keeps up or not.

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "kvload-phases.h"
#include "kvload-rows.h"

#define DRAIN_NS (500 * NS_PER_MS)

int wait_for(struct connection *connections, struct pollfd *events, const struct settings *s, ns_t until_ns)
{
    ns_t at_ns = clock_ns();
    for (int i = 0; i < s->connections; i++) {
        connection_revive(&connections[i], at_ns);
        events[i] = connection_poll(&connections[i]);
        if (connections[i].state == CONNECTION_DOWN && connections[i].since_ns < until_ns)
            until_ns = connections[i].since_ns;
    }
    ns_t rest_ns = until_ns > at_ns ? until_ns - at_ns : 0;
    struct timespec rest = {rest_ns / NS_PER_SEC, rest_ns % NS_PER_SEC};
    int ready = ppoll(events, (nfds_t)s->connections, &rest, NULL);
    if (ready < 0)
        for (int i = 0; i < s->connections; i++)
            events[i].revents = 0;
    return ready;
}

static void end_request(struct connection *c, enum result result, ns_t at_ns)
{
    if (!c->choice.is_read)
        records_end_update(c->choice.record, result == RESULT_OK);
    rows_add(c->request, at_ns, result);
}

static bool send_request(struct connection *c, const struct settings *s, uint64_t request)
{
    char *value;
    c->request = request;
    c->choice = records_choose(request);
    c->oldest = records_oldest(c->choice.record);
    if (c->choice.is_read) {
        c->out_used = wire_get(s->protocol, c->out, c->choice.record);
    } else {
        c->out_used = wire_set(s->protocol, c->out, c->choice.record, s->value_bytes, &value);
        records_begin_update(c->choice.record, value);
    }
    ns_t at_ns = clock_ns(), due_ns = rows_due_ns(request);
    rows_add_own_delay(request, at_ns - (c->since_ns > due_ns ? c->since_ns : due_ns));
    return connection_send(c, 1);
}

static enum result judge(const struct connection *c, const struct reply *r)
{
    if (!c->choice.is_read)
        return r->kind == REPLY_STORED ? RESULT_OK : RESULT_ERROR;
    if (r->kind == REPLY_ERROR || r->kind == REPLY_STORED)
        return RESULT_ERROR;
    /* A record that is gone is as wrong as one with another value: nothing is ever removed or evicted. */
    bool right = r->kind == REPLY_VALUE && records_check(c->choice.record, c->oldest, r->value, r->value_length);
    return right ? RESULT_OK : RESULT_WRONG;
}

static void serve_event(struct connection *c, short events)
{
    bool alive = connection_advance(c, events);
    ns_t at_ns = clock_ns();
    if (!alive) {
        if (c->state == CONNECTION_BUSY)
            end_request(c, RESULT_ERROR, at_ns);
        connection_drop(c, at_ns);
        return;
    }
    struct reply r;
    if (c->awaited == 0 || (r = connection_reply(c)).kind == REPLY_INCOMPLETE)
        return;
    end_request(c, judge(c, &r), at_ns);
    connection_taken(c, &r, at_ns);
}

static struct connection *idle_connection(struct connection *connections, int count)
{
    /* The one that has been idle longest: all of them get their share. */
    struct connection *found = NULL;
    for (int i = 0; i < count; i++)
        if (connections[i].state == CONNECTION_IDLE && (found == NULL || connections[i].since_ns < found->since_ns))
            found = &connections[i];
    return found;
}

static bool any_busy(const struct connection *connections, int count)
{
    for (int i = 0; i < count; i++)
        if (connections[i].state == CONNECTION_BUSY)
            return true;
    return false;
}

void run_requests(struct connection *connections, const struct settings *s)
{
    struct pollfd *events = calloc((size_t)s->connections, sizeof *events);
    uint64_t next = 0;
    ns_t start_ns = clock_ns(), end_ns = start_ns + s->seconds_max * NS_PER_SEC;
    ns_t stopped_ns = 0, schedule_end_ns = 0;
    rows_start(s, start_ns);
    for (ns_t at_ns = start_ns;; at_ns = clock_ns()) {
        if (stopped_ns == 0 && (kv_stop || at_ns >= end_ns)) {
            stopped_ns = at_ns;
            /* A request that only the end kept from being sent is none. */
            bool behind = idle_connection(connections, s->connections) == NULL;
            schedule_end_ns = behind || rows_due_ns(next) > at_ns ? at_ns : rows_due_ns(next);
        }
        if (stopped_ns != 0 && (!any_busy(connections, s->connections) || at_ns > stopped_ns + DRAIN_NS))
            break;
        struct connection *c = NULL;
        while (stopped_ns == 0 && rows_due_ns(next) <= at_ns && (c = idle_connection(connections, s->connections)) != NULL) {
            if (send_request(c, s, next++))
                continue;
            end_request(c, RESULT_ERROR, at_ns);
            connection_drop(c, at_ns);
        }
        /* Without an idle connection the next request waits for one, not for the clock. */
        bool waits = stopped_ns != 0 || rows_due_ns(next) <= at_ns;
        wait_for(connections, events, s, waits ? at_ns + 10 * NS_PER_MS : rows_due_ns(next));
        for (int i = 0; i < s->connections; i++)
            if (events[i].revents != 0)
                serve_event(&connections[i], events[i].revents);
        rows_print(clock_ns());
    }
    for (int i = 0; i < s->connections; i++)
        if (connections[i].state == CONNECTION_BUSY)
            rows_add(connections[i].request, stopped_ns, RESULT_UNANSWERED);
    rows_finish(next, schedule_end_ns);
    free(events);
}
