// SPDX-License-Identifier: Apache-2.0
// Types and time for all guest programs.
#ifndef SLACKWATER_BASE_H
#define SLACKWATER_BASE_H

#include <stdint.h>
#include <time.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef unsigned __int128 u128;

enum { PAGE_BYTES = 4096, PAGE_WORDS = 512 };

#define NS_PER_MS 1000000ull
#define NS_PER_SEC 1000000000ull

static inline u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * NS_PER_SEC + (u64)t.tv_nsec;
}

/* The finaliser of splitmix64: every input bit reaches every output bit. */
static inline u64 mix64(u64 x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

#endif
