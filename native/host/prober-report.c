// SPDX-License-Identifier: Apache-2.0
// The prober's summary. A silence is the time between two successive answers less the normal (median) reply time; the
// prober's own delays bound it from below: what the guest's client saw lies in [silence - own gap, silence].

#include <stdio.h>
#include <stdlib.h>
#include "prober.h"

enum { TOP_SILENCES = 5 };

struct gap {
    ns_t start_ns;
    ns_t end_ns;
    bool open; /* no answer came any more before the end of the run */
};

static int compare_times(const void *a, const void *b)
{
    ns_t x = *(const ns_t *)a, y = *(const ns_t *)b;
    return (x > y) - (x < y);
}

/* How much later than planned the prober itself sent, at worst, between two times. Whole run: start 0. */
static ns_t own_gap_ns(const struct recording *r, ns_t start_ns, ns_t end_ns)
{
    ns_t worst = 0;
    for (uint64_t i = 1; i < r->sent; i++) {
        ns_t before = r->probes[i - 1].sent_ns, after = r->probes[i].sent_ns;
        if (after < start_ns)
            continue;
        if (before > end_ns)
            break;
        if (after - before - r->interval_ns > worst)
            worst = after - before - r->interval_ns;
    }
    return worst;
}

static uint64_t lost_between(const struct recording *r, ns_t start_ns, ns_t end_ns)
{
    uint64_t lost = 0;
    for (uint64_t i = 0; i < r->sent; i++)
        lost += r->probes[i].received_ns == 0 && r->probes[i].sent_ns >= start_ns && r->probes[i].sent_ns <= end_ns;
    return lost;
}

/* The longest intervals without an answer, longest first. `times` are the sorted times of the answers. */
static int longest_gaps(const struct recording *r, const ns_t *times, struct gap *top)
{
    int count = 0;
    for (uint64_t i = 1; i <= r->answered; i++) {
        bool open = i == r->answered;
        struct gap g = {times[i - 1], open ? r->stopped_ns : times[i], open};
        int place = count < TOP_SILENCES ? count++ : TOP_SILENCES;
        while (place > 0 && g.end_ns - g.start_ns > top[place - 1].end_ns - top[place - 1].start_ns) {
            if (place < TOP_SILENCES)
                top[place] = top[place - 1];
            place--;
        }
        if (place < TOP_SILENCES)
            top[place] = g;
    }
    return count;
}

static double ms(ns_t ns)
{
    return (double)ns / 1e6;
}

static void print_gap(const struct recording *r, const struct gap *g, ns_t median_ns)
{
    ns_t silence = g->end_ns - g->start_ns - median_ns;
    if (silence < 0)
        silence = 0;
    ns_t own = own_gap_ns(r, g->start_ns, g->end_ns);
    printf("{\"silenceMs\":%.3f,\"atLeastMs\":%.3f,\"startMonotonicMs\":%.3f,\"endMonotonicMs\":%.3f,", ms(silence),
           ms(silence > own ? silence - own : 0), ms(g->start_ns), ms(g->end_ns));
    printf("\"startRealtimeMs\":%.3f,\"endRealtimeMs\":%.3f,", ms(g->start_ns + r->realtime_offset_ns),
           ms(g->end_ns + r->realtime_offset_ns));
    printf("\"ownGapMs\":%.3f,\"disturbed\":%s,\"lostProbes\":%llu,\"open\":%s}", ms(own),
           own > r->disturbed_over_ns ? "true" : "false",
           (unsigned long long)lost_between(r, g->start_ns, g->end_ns), g->open ? "true" : "false");
}

void report_print(const struct recording *r)
{
    ns_t *times = malloc((r->answered + 1) * sizeof *times);
    struct gap top[TOP_SILENCES];
    uint64_t n = 0;
    ns_t median_ns = 0;
    if (times == NULL)
        return;
    for (uint64_t i = 0; i < r->sent; i++)
        if (r->probes[i].received_ns != 0)
            times[n++] = r->probes[i].received_ns - r->probes[i].sent_ns;
    qsort(times, n, sizeof *times, compare_times);
    if (n > 0)
        median_ns = times[n / 2];
    n = 0;
    for (uint64_t i = 0; i < r->sent; i++)
        if (r->probes[i].received_ns != 0)
            times[n++] = r->probes[i].received_ns;
    qsort(times, n, sizeof *times, compare_times);
    int count = longest_gaps(r, times, top);

    ns_t own = own_gap_ns(r, 0, INT64_MAX);
    printf("{\"sent\":%llu,\"answered\":%llu,\"sendErrors\":%llu,\"fifo\":%s,\"intervalMs\":%.3f,",
           (unsigned long long)r->sent, (unsigned long long)r->answered, (unsigned long long)r->send_errors,
           r->fifo ? "true" : "false", ms(r->interval_ns));
    printf("\"medianReplyMs\":%.3f,\"ownGapMs\":%.3f,\"runDisturbed\":%s,", ms(median_ns), ms(own),
           own > r->disturbed_over_ns ? "true" : "false");
    printf("\"startedMonotonicMs\":%.3f,\"stoppedMonotonicMs\":%.3f,\"firstAnswerMonotonicMs\":",
           ms(r->sent > 0 ? r->probes[0].sent_ns : r->stopped_ns), ms(r->stopped_ns));
    if (n > 0)
        printf("%.3f", ms(times[0]));
    else
        printf("null");
    printf(",\"realtimeOffsetMs\":%.3f,\"realtimeStepMs\":%.3f,\"silences\":[", ms(r->realtime_offset_ns),
           ms(r->realtime_step_ns));
    for (int i = 0; i < count; i++) {
        if (i > 0)
            putchar(',');
        print_gap(r, &top[i], median_ns);
    }
    printf("],\"work\":[");
    for (uint64_t i = 0; i < r->work_count; i++)
        printf("%s{\"sequence\":%llu,\"guestMs\":%llu,\"units\":%llu,\"receivedMonotonicMs\":%.3f}", i == 0 ? "" : ",",
               (unsigned long long)r->work[i].sequence, (unsigned long long)r->work[i].guest_ms,
               (unsigned long long)r->work[i].units, ms(r->work[i].received_ns));
    printf("]}\n");
    free(times);
}
