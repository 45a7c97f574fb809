// SPDX-License-Identifier: Apache-2.0
// Lines over a serial port that may lose or garble bytes: "PAYLOAD CHECKSUM\n", the checksum being FNV-1a in eight hex
// digits. A line that does not check is dropped without an answer, the other side asks again.
#ifndef SLACKWATER_LINE_H
#define SLACKWATER_LINE_H

#include <stdbool.h>
#include <stddef.h>

enum { LINE_MAX_BYTES = 1024, REPLY_MAX_BYTES = 3072 };

struct line_port {
    int in;
    int out;
    char buffer[LINE_MAX_BYTES];
    size_t used;
    bool overlong;
};

/* Opens a serial port in raw mode; "-" is standard input and output. */
bool line_open(struct line_port *port, const char *path);

/* Waits up to timeout_ms for a whole line that checks; strips the checksum. NULL: none yet. */
const char *line_read(struct line_port *port, int timeout_ms);

void line_write(struct line_port *port, const char *payload);

#endif
