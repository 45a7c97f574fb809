// SPDX-License-Identifier: Apache-2.0
// Records and their versions. A value is its record's number and version, and content that follows from both, so that a
// lost update, a value of another record and a torn one are all told from a right one.

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "kvload-records.h"

struct record {
    uint32_t sent;         /* version of the newest update sent */
    uint32_t acknowledged; /* version of the newest update that the server confirmed */
    bool updating;
    bool unsure; /* an update was never answered: the server may do it late */
};

static const struct settings *settings;
static struct record *records;
static char *expected;

/* Gray et al., "Quickly generating billion-record synthetic databases": the constants for a zipf rank in O(1). */
static struct {
    double alpha, zetan, eta, half_power;
} zipf;

void records_start(const struct settings *s)
{
    settings = s;
    records = calloc(s->records, sizeof *records);
    expected = malloc(s->value_bytes);
    if (records == NULL || expected == NULL)
        kv_die("no memory for %u records", s->records);
    if (s->zipf <= 0)
        return;
    double zeta2 = 1 + pow(0.5, s->zipf);
    for (uint32_t i = 1; i <= s->records; i++)
        zipf.zetan += pow(1.0 / i, s->zipf);
    zipf.alpha = 1 / (1 - s->zipf);
    zipf.eta = (1 - pow(2.0 / s->records, 1 - s->zipf)) / (1 - zeta2 / zipf.zetan);
    zipf.half_power = zeta2;
}

static double uniform(uint64_t bits)
{
    return (double)(bits >> 11) / 9007199254740992.0;
}

static uint32_t choose_record(uint64_t bits)
{
    double u = uniform(bits);
    if (settings->zipf <= 0)
        return (uint32_t)(u * settings->records);
    double uz = u * zipf.zetan;
    uint64_t rank = uz < 1                 ? 0
                    : uz < zipf.half_power ? 1
                                           : (uint64_t)(settings->records * pow(zipf.eta * u - zipf.eta + 1, zipf.alpha));
    /* Scattered, as YCSB does it: popular records are not neighbours in memory. */
    return (uint32_t)(mix64(rank + 0x9e3779b97f4a7c15ull) % settings->records);
}

struct choice records_choose(uint64_t request)
{
    uint64_t bits = mix64(settings->seed + request * 0x9e3779b97f4a7c15ull);
    uint32_t record = choose_record(bits);
    bool is_read = uniform(mix64(bits + 1)) < settings->read_ratio;
    return (struct choice){record, is_read || records[record].updating};
}

static void make_value(uint32_t record, uint32_t version, char *value)
{
    uint64_t word = (uint64_t)record << 32 | version;
    for (uint32_t at = 0; at < settings->value_bytes; at += sizeof word) {
        size_t left = settings->value_bytes - at;
        memcpy(value + at, &word, left < sizeof word ? left : sizeof word);
        word = mix64(word + settings->seed + 0x9e3779b97f4a7c15ull);
    }
}

void records_begin_update(uint32_t record, char *value)
{
    records[record].updating = true;
    make_value(record, ++records[record].sent, value);
}

void records_end_update(uint32_t record, bool acknowledged)
{
    struct record *r = &records[record];
    r->updating = false;
    if (acknowledged)
        r->acknowledged = r->sent;
    else
        r->unsure = true;
}

uint32_t records_oldest(uint32_t record)
{
    return records[record].unsure ? 0 : records[record].acknowledged;
}

bool records_check(uint32_t record, uint32_t oldest, const char *value, size_t length)
{
    uint64_t head;
    if (length != settings->value_bytes)
        return false;
    memcpy(&head, value, sizeof head);
    uint32_t version = (uint32_t)head;
    if (head >> 32 != record || version > records[record].sent)
        return false;
    /* An update that was given up while the read was on its way may have come late. */
    if (version < oldest && !records[record].unsure)
        return false;
    make_value(record, version, expected);
    return memcmp(expected, value, length) == 0;
}
