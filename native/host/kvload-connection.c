// SPDX-License-Identifier: Apache-2.0
// Non-blocking TCP connections.

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "kvload-connection.h"

#define RETRY_NS (20 * NS_PER_MS)

void connection_create(struct connection *c, const struct settings *s, int batch)
{
    size_t one = s->value_bytes + WIRE_OVERHEAD_BYTES;
    *c = (struct connection){.settings = s, .fd = -1, .out_bytes = one * (size_t)batch, .in_bytes = one};
    c->out = malloc(c->out_bytes);
    c->in = malloc(c->in_bytes + 1);
    if (c->out == NULL || c->in == NULL)
        kv_die("no memory for a connection");
}

void connection_revive(struct connection *c, ns_t at_ns)
{
    int on = 1;
    if (c->state != CONNECTION_DOWN || at_ns < c->since_ns)
        return;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        kv_die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->state = CONNECTION_CONNECTING;
    if (connect(c->fd, (const struct sockaddr *)&c->settings->server, sizeof c->settings->server) != 0 && errno != EINPROGRESS)
        connection_drop(c, at_ns);
}

void connection_drop(struct connection *c, ns_t at_ns)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = CONNECTION_DOWN;
    c->since_ns = at_ns + RETRY_NS;
    c->awaited = 0;
    c->in_used = c->out_used = c->out_sent = 0;
}

struct pollfd connection_poll(const struct connection *c)
{
    bool writes = c->state == CONNECTION_CONNECTING || c->out_sent < c->out_used;
    return (struct pollfd){.fd = c->fd, .events = (short)(writes ? POLLIN | POLLOUT : POLLIN)};
}

static bool is_transient(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static bool flush_out(struct connection *c)
{
    while (c->out_sent < c->out_used) {
        ssize_t put = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent, MSG_NOSIGNAL);
        if (put < 0)
            return is_transient(errno);
        c->out_sent += (size_t)put;
    }
    return true;
}

bool connection_send(struct connection *c, int replies)
{
    c->state = CONNECTION_BUSY;
    c->awaited = replies;
    c->out_sent = 0;
    return flush_out(c);
}

bool connection_advance(struct connection *c, short events)
{
    if (c->state == CONNECTION_CONNECTING) {
        int error = 0;
        socklen_t length = sizeof error;
        if ((events & (POLLOUT | POLLERR | POLLHUP)) == 0)
            return true;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0)
            return false;
        c->state = CONNECTION_IDLE;
        c->since_ns = clock_ns();
        return true;
    }
    if ((events & POLLOUT) != 0 && !flush_out(c))
        return false;
    if ((events & (POLLIN | POLLERR | POLLHUP)) == 0)
        return true;
    /* A reply that does not fit is none of ours. */
    if (c->in_used == c->in_bytes)
        return false;
    ssize_t got = recv(c->fd, c->in + c->in_used, c->in_bytes - c->in_used, 0);
    if (got <= 0)
        return got < 0 && is_transient(errno);
    c->in_used += (size_t)got;
    c->in[c->in_used] = '\0';
    /* Nobody was asked for anything. */
    return c->awaited > 0;
}

struct reply connection_reply(const struct connection *c)
{
    return wire_reply(c->settings->protocol, c->in, c->in_used);
}

void connection_taken(struct connection *c, const struct reply *reply, ns_t at_ns)
{
    c->in_used -= reply->length;
    memmove(c->in, c->in + reply->length, c->in_used + 1);
    if (--c->awaited > 0)
        return;
    c->state = CONNECTION_IDLE;
    c->since_ns = at_ns;
}
