// SPDX-License-Identifier: Apache-2.0
// What the prober recorded, and the report made of it. All times are CLOCK_MONOTONIC nanoseconds.
#ifndef SLACKWATER_PROBER_H
#define SLACKWATER_PROBER_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t ns_t;

struct probe {
    ns_t sent_ns;
    ns_t received_ns; /* 0: no answer */
};

struct work_report {
    ns_t received_ns;
    uint64_t sequence;
    uint64_t guest_ms;
    uint64_t units;
};

struct recording {
    struct probe *probes; /* in the order of sending */
    uint64_t sent;
    uint64_t answered;
    uint64_t send_errors;
    struct work_report *work;
    uint64_t work_count;
    ns_t interval_ns;
    ns_t disturbed_over_ns; /* an own gap beyond this spoils a measurement */
    ns_t stopped_ns;
    ns_t realtime_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC at the end */
    ns_t realtime_step_ns;   /* how far that offset moved during the run */
    bool fifo;
};

/* Prints the summary as one line of JSON. */
void report_print(const struct recording *r);

#endif
