// SPDX-License-Identifier: Apache-2.0
// What the files of the key-value load generator share. All times are CLOCK_MONOTONIC nanoseconds.
#ifndef SLACKWATER_KVLOAD_H
#define SLACKWATER_KVLOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef int64_t ns_t;

#define NS_PER_US 1000ll
#define NS_PER_MS 1000000ll
#define NS_PER_SEC 1000000000ll

enum protocol { PROTOCOL_REDIS, PROTOCOL_MEMCACHED };

struct settings {
    enum protocol protocol;
    struct sockaddr_in server;
    int connections;
    uint64_t rate_per_sec;
    uint32_t records;
    uint32_t value_bytes;
    double read_ratio; /* the rest are updates */
    double zipf;       /* exponent below 1; 0: all records alike */
    uint64_t seed;
    long seconds_max;
};

static inline ns_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

/* The finaliser of splitmix64: every input bit reaches every output bit. */
static inline uint64_t mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* Prints what went wrong and ends the program. */
_Noreturn void kv_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
