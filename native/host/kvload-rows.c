// SPDX-License-Identifier: Apache-2.0
// Rows. Latency counts from when a request was due, not from when it could be sent: a guest that stands still makes every
// request wait that was due meanwhile, and all of them are in the figures. Field names: testbed/measure/kvload-rows.ts.

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kvload-rows.h"

#define ROW_NS (100 * NS_PER_MS)

/* Log-linear buckets of microseconds: one each below 32, then 32 for each doubling, so a value is known to 3 %. */
enum { SUB_BITS = 5, SUB_BUCKETS = 1 << SUB_BITS, BUCKETS = SUB_BUCKETS * (32 - SUB_BITS + 1) };

struct row {
    uint32_t ended;     /* of the requests due in this row */
    uint32_t errors;
    uint32_t wrong;
    uint32_t unanswered;
    uint32_t completed; /* right answers that came in these 100 ms, whenever they were due */
    uint64_t max_us;
    uint64_t own_delay_us;
    uint32_t histogram[BUCKETS];
};

static struct row *rows;
static size_t rows_max, next_row;
static uint64_t rate_per_sec;
static ns_t start_ns;

void rows_start(const struct settings *s, ns_t at_ns)
{
    /* One more second for what is still under way at the end. */
    rows_max = (size_t)(s->seconds_max + 1) * (NS_PER_SEC / ROW_NS);
    rows = mmap(NULL, rows_max * sizeof *rows, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (rows == MAP_FAILED)
        kv_die("no memory for the results");
    rate_per_sec = s->rate_per_sec;
    start_ns = at_ns;
}

ns_t rows_due_ns(uint64_t request)
{
    return start_ns + (ns_t)((__int128)request * NS_PER_SEC / (ns_t)rate_per_sec);
}

static struct row *row_at(ns_t at_ns)
{
    size_t index = at_ns < start_ns ? 0 : (size_t)((at_ns - start_ns) / ROW_NS);
    return &rows[index < rows_max ? index : rows_max - 1];
}

/* How many requests are due before a row begins. */
static uint64_t due_before(size_t row)
{
    __int128 scaled = (__int128)row * ROW_NS * (ns_t)rate_per_sec;
    return (uint64_t)((scaled + NS_PER_SEC - 1) / NS_PER_SEC);
}

static int bucket_of(uint64_t us)
{
    if (us < SUB_BUCKETS)
        return (int)us;
    if (us > UINT32_MAX)
        us = UINT32_MAX;
    int exponent = 63 - __builtin_clzll(us);
    return (exponent - SUB_BITS + 1) * SUB_BUCKETS + (int)((us >> (exponent - SUB_BITS)) & (SUB_BUCKETS - 1));
}

/* The least value that falls into a bucket. */
static uint64_t bucket_us(int bucket)
{
    if (bucket < SUB_BUCKETS)
        return (uint64_t)bucket;
    return (uint64_t)(SUB_BUCKETS + bucket % SUB_BUCKETS) << (bucket / SUB_BUCKETS - 1);
}

void rows_add(uint64_t request, ns_t ended_ns, enum result result)
{
    ns_t due_ns = rows_due_ns(request);
    struct row *r = row_at(due_ns);
    r->ended++;
    r->errors += result == RESULT_ERROR || result == RESULT_WRONG;
    r->wrong += result == RESULT_WRONG;
    r->unanswered += result == RESULT_UNANSWERED;
    if (result != RESULT_OK)
        return;
    uint64_t us = ended_ns > due_ns ? (uint64_t)((ended_ns - due_ns) / NS_PER_US) : 0;
    r->histogram[bucket_of(us)]++;
    if (us > r->max_us)
        r->max_us = us;
    row_at(ended_ns)->completed++;
}

void rows_add_own_delay(uint64_t request, ns_t delay_ns)
{
    struct row *r = row_at(rows_due_ns(request));
    if (delay_ns > 0 && (uint64_t)(delay_ns / NS_PER_US) > r->own_delay_us)
        r->own_delay_us = (uint64_t)(delay_ns / NS_PER_US);
}

static uint64_t quantile_us(const struct row *r, uint64_t count, double share)
{
    uint64_t wanted = (uint64_t)((double)count * share), seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += r->histogram[i];
        if (seen > wanted)
            return bucket_us(i);
    }
    return r->max_us;
}

static void print_row(size_t index)
{
    const struct row *r = &rows[index];
    uint64_t count = r->ended - r->errors - r->unanswered;
    printf("{\"atMonotonicMs\":%.3f,\"completed\":%u,\"count\":%llu,\"errors\":%u,\"wrong\":%u,\"unanswered\":%u,",
           (double)(start_ns + (ns_t)index * ROW_NS) / 1e6, r->completed, (unsigned long long)count, r->errors, r->wrong,
           r->unanswered);
    printf("\"p50Us\":%llu,\"p99Us\":%llu,\"maxUs\":%llu,\"ownDelayUs\":%llu,\"histogram\":[",
           (unsigned long long)quantile_us(r, count, 0.5), (unsigned long long)quantile_us(r, count, 0.99),
           (unsigned long long)r->max_us, (unsigned long long)r->own_delay_us);
    const char *separator = "";
    for (int i = 0; i < BUCKETS; i++) {
        if (r->histogram[i] == 0)
            continue;
        printf("%s[%d,%u]", separator, i, r->histogram[i]);
        separator = ",";
    }
    printf("]}\n");
    /* Pages that hold printed rows only are given back. */
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)r / page * page;
    if ((uintptr_t)(r + 1) / page * page > from)
        madvise((void *)from, (uintptr_t)(r + 1) / page * page - from, MADV_DONTNEED);
}

void rows_print(ns_t at_ns)
{
    bool printed = false;
    while (next_row < rows_max && at_ns >= start_ns + (ns_t)(next_row + 1) * ROW_NS &&
           rows[next_row].ended == due_before(next_row + 1) - due_before(next_row)) {
        print_row(next_row++);
        printed = true;
    }
    if (printed)
        fflush(stdout);
}

void rows_finish(uint64_t first, ns_t at_ns)
{
    for (uint64_t request = first; rows_due_ns(request) < at_ns; request++)
        rows_add(request, at_ns, RESULT_UNANSWERED);
    while (next_row < rows_max && start_ns + (ns_t)next_row * ROW_NS < at_ns)
        print_row(next_row++);
    fflush(stdout);
}
