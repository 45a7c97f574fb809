// SPDX-License-Identifier: Apache-2.0
// The memory that the writer owns: nearly all that the guest has, resident and locked.
#ifndef SLACKWATER_ARENA_H
#define SLACKWATER_ARENA_H

#include "base.h"

struct arena {
    u64 *words;
    u64 pages;
    u64 seed;
};

static inline u64 *arena_page(const struct arena *a, u64 page)
{
    return a->words + page * PAGE_WORDS;
}

/* Allocates MemAvailable less the reserve, at most `bytes_max`, and fills each page with its version 0. Ends the program on
 * failure. */
void arena_create(struct arena *out, u64 seed, u64 reserve_bytes, u64 bytes_max);

/* Bytes of MemTotal. */
u64 memory_total_bytes(void);

/* The guest-physical address behind an address of this process, 0 when it is not present. */
u64 guest_physical(const void *address);

#endif
