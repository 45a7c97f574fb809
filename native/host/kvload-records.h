// SPDX-License-Identifier: Apache-2.0
// The records: which is asked for next, what a value of it holds, and whether an answer can be right.
#ifndef SLACKWATER_KVLOAD_RECORDS_H
#define SLACKWATER_KVLOAD_RECORDS_H

#include "kvload.h"

/* Takes what it needs from the settings, which must live on. */
void records_start(const struct settings *s);

/* One request of the mix. An update whose record has one under way already becomes a read. */
struct choice {
    uint32_t record;
    bool is_read;
};

struct choice records_choose(uint64_t request);

/* Begins an update: writes the new value (value_bytes of it). */
void records_begin_update(uint32_t record, char *value);

/* Ends it. Not acknowledged: nobody knows whether the server has done it, now or later. */
void records_end_update(uint32_t record, bool acknowledged);

/* The oldest version that a read sent now may return. */
uint32_t records_oldest(uint32_t record);

/* Whether a value is one of this record, whole, and neither older than `oldest` nor from the future. */
bool records_check(uint32_t record, uint32_t oldest, const char *value, size_t length);

#endif
