// SPDX-License-Identifier: Apache-2.0
// Checked lines over a serial port.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "line.h"

static uint32_t fnv1a(const char *text, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

bool line_open(struct line_port *port, const char *path)
{
    *port = (struct line_port){.in = 0, .out = 1};
    if (strcmp(path, "-") == 0)
        return true;
    port->in = port->out = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (port->in < 0)
        return false;
    struct termios mode;
    if (tcgetattr(port->in, &mode) == 0) {
        cfmakeraw(&mode);
        mode.c_cflag |= CLOCAL;
        mode.c_cc[VMIN] = 1;
        mode.c_cc[VTIME] = 0;
        cfsetspeed(&mode, B115200);
        tcsetattr(port->in, TCSANOW, &mode);
    }
    return true;
}

/* Takes the first whole line out of the buffer; the caller's copy stays valid until the next read. */
static const char *take_line(struct line_port *port)
{
    static char line[LINE_MAX_BYTES];
    for (;;) {
        char *end = memchr(port->buffer, '\n', port->used);
        if (end == NULL) {
            if (port->used == sizeof port->buffer) { /* noise without an end of line */
                port->used = 0;
                port->overlong = true;
            }
            return NULL;
        }
        size_t length = (size_t)(end - port->buffer);
        memcpy(line, port->buffer, length);
        line[length] = '\0';
        port->used -= length + 1;
        memmove(port->buffer, end + 1, port->used);
        bool whole = !port->overlong;
        port->overlong = false;
        if (!whole || length < 10 || line[length - 9] != ' ')
            continue;
        char *rest;
        unsigned long sum = strtoul(line + length - 8, &rest, 16);
        if (*rest != '\0' || sum != fnv1a(line, length - 9))
            continue;
        line[length - 9] = '\0';
        return line;
    }
}

const char *line_read(struct line_port *port, int timeout_ms)
{
    const char *line = take_line(port);
    if (line != NULL)
        return line;
    struct pollfd wait = {.fd = port->in, .events = POLLIN};
    if (poll(&wait, 1, timeout_ms) <= 0)
        return NULL;
    ssize_t got = read(port->in, port->buffer + port->used, sizeof port->buffer - port->used);
    if (got <= 0) {
        if (got == 0 && port->in == 0)
            exit(0); /* standard input ended */
        usleep(10000);
        return NULL;
    }
    port->used += (size_t)got;
    return take_line(port);
}

void line_write(struct line_port *port, const char *payload)
{
    char line[REPLY_MAX_BYTES + 16];
    size_t length = (size_t)snprintf(line, sizeof line, "%s %08x\n", payload, fnv1a(payload, strlen(payload)));
    for (size_t sent = 0; sent < length;) {
        ssize_t put = write(port->out, line + sent, length - sent);
        if (put < 0 && errno != EINTR && errno != EAGAIN)
            return;
        sent += put > 0 ? (size_t)put : 0;
    }
}
