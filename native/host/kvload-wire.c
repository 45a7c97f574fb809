// SPDX-License-Identifier: Apache-2.0
// Requests and replies of redis and memcached, as far as getting and setting go.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kvload-wire.h"

enum { KEY_BYTES = 11 }; /* "k%010u" */

size_t wire_get(enum protocol protocol, char *out, uint32_t record)
{
    if (protocol == PROTOCOL_MEMCACHED)
        return (size_t)sprintf(out, "get k%010u\r\n", record);
    return (size_t)sprintf(out, "*2\r\n$3\r\nGET\r\n$%d\r\nk%010u\r\n", KEY_BYTES, record);
}

size_t wire_set(enum protocol protocol, char *out, uint32_t record, uint32_t value_bytes, char **value)
{
    int head = protocol == PROTOCOL_MEMCACHED
                   ? sprintf(out, "set k%010u 0 0 %u\r\n", record, value_bytes)
                   : sprintf(out, "*3\r\n$3\r\nSET\r\n$%d\r\nk%010u\r\n$%u\r\n", KEY_BYTES, record, value_bytes);
    *value = out + head;
    memcpy(*value + value_bytes, "\r\n", 2);
    return (size_t)head + value_bytes + 2;
}

static bool starts_with(const char *line, size_t length, const char *word)
{
    return length >= strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

static struct reply whole(enum reply_kind kind, size_t length)
{
    return (struct reply){.kind = kind, .length = length};
}

/* A value of `size` bytes behind a head line, and `tail` behind that. */
static struct reply value_reply(const char *buffer, size_t used, size_t head, long size, const char *tail)
{
    size_t length = head + (size_t)size + strlen(tail);
    if (used < length)
        return whole(REPLY_INCOMPLETE, 0);
    if (memcmp(buffer + head + size, tail, strlen(tail)) != 0)
        return (struct reply){REPLY_ERROR, length, "a value of another length than it says", 38};
    return (struct reply){REPLY_VALUE, length, buffer + head, (size_t)size};
}

struct reply wire_reply(enum protocol protocol, const char *buffer, size_t used)
{
    const char *end = memmem(buffer, used, "\r\n", 2);
    if (end == NULL)
        return whole(REPLY_INCOMPLETE, 0);
    size_t line = (size_t)(end - buffer), head = line + 2;
    struct reply error = {REPLY_ERROR, head, buffer, line};
    unsigned size;
    if (protocol == PROTOCOL_MEMCACHED) {
        if (starts_with(buffer, line, "STORED"))
            return whole(REPLY_STORED, head);
        if (starts_with(buffer, line, "END"))
            return whole(REPLY_MISS, head);
        if (sscanf(buffer, "VALUE %*s %*u %u", &size) == 1)
            return value_reply(buffer, used, head, (long)size, "\r\nEND\r\n");
        return error;
    }
    if (buffer[0] == '+')
        return whole(REPLY_STORED, head);
    if (starts_with(buffer, line, "$-1"))
        return whole(REPLY_MISS, head);
    if (buffer[0] == '$' && sscanf(buffer + 1, "%u", &size) == 1)
        return value_reply(buffer, used, head, (long)size, "\r\n");
    return error;
}
