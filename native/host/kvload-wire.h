// SPDX-License-Identifier: Apache-2.0
// The two protocols: RESP (redis) and memcached's text protocol.
#ifndef SLACKWATER_KVLOAD_WIRE_H
#define SLACKWATER_KVLOAD_WIRE_H

#include "kvload.h"

/* Bytes that a request or a reply has at most besides its value. */
enum { WIRE_OVERHEAD_BYTES = 128 };

enum reply_kind { REPLY_INCOMPLETE, REPLY_STORED, REPLY_VALUE, REPLY_MISS, REPLY_ERROR };

struct reply {
    enum reply_kind kind;
    size_t length;     /* of the whole reply on the wire */
    const char *value; /* or the text of an error */
    size_t value_length;
};

/* Writes a request; returns its length. `out` has room for value_bytes + WIRE_OVERHEAD_BYTES. */
size_t wire_get(enum protocol protocol, char *out, uint32_t record);

/* As above, but without the value: *value says where the caller puts its `value_bytes`. */
size_t wire_set(enum protocol protocol, char *out, uint32_t record, uint32_t value_bytes, char **value);

/* The first reply in a buffer. */
struct reply wire_reply(enum protocol protocol, const char *buffer, size_t used);

#endif
