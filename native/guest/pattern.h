// SPDX-License-Identifier: Apache-2.0
// A write pattern: which page is visited at step k, and when step k is due. Both are pure functions, so that the
// verifier can replay from step 0 how often every page was written.
#ifndef SLACKWATER_PATTERN_H
#define SLACKWATER_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include "base.h"

enum { PATTERN_SPEC_MAX = 480, PATTERN_SEGMENTS_MAX = 16, ZIPF_STEPS = 4096 };

enum segment_kind { SEG_IDLE, SEG_STEADY, SEG_DRIFT, SEG_ZIPF, SEG_READMOSTLY };

struct segment {
    enum segment_kind kind;
    bool random_order;
    bool whole_page;      /* false: a visit rewrites the counter word only (touch=8) */
    u64 set_pages;
    u64 offset_page;
    u64 drift_pages;      /* how far the window moves after each pass over it */
    u64 rate_bytes_per_sec;
    u64 duration_ns;      /* 0: endless */
    u64 steps;            /* per turn of the cycle */
    u32 write_threshold;  /* a visit writes when its hash is below; 2^32-1: always */
    double exponent;
    u64 *zipf;            /* inverse of the distribution function, 32.32 fixed point, ZIPF_STEPS + 1 entries */
    u64 salt;
};

struct pattern {
    char spec[PATTERN_SPEC_MAX];
    int segment_count;
    struct segment segments[PATTERN_SEGMENTS_MAX];
    u64 arena_pages;
    bool endless;         /* one segment without end; otherwise the segments repeat */
    u64 cycle_ns;
    u64 cycle_steps;
};

/* How often each page was written, and the count at which its content was last rewritten as a whole. */
struct visit_counts {
    u32 *version;
    u32 *content_version;
};

/* Reads a specification. On failure returns false, says why in `error`, and leaves nothing allocated. */
bool pattern_parse(struct pattern *out, const char *spec, u64 arena_pages, u64 seed, char *error, size_t error_size);

/* How many steps are due after `elapsed_ns` of the pattern's own time. */
u64 pattern_steps_at(const struct pattern *p, u64 elapsed_ns);

/* The pattern's own time at which step `step` (from 0) is due. */
u64 pattern_due_ns(const struct pattern *p, u64 step);

/* The segment of a step, the step's number within that segment over all cycles, and how many steps follow in one go. */
const struct segment *pattern_locate(const struct pattern *p, u64 step, u64 *segment_step, u64 *steps_left);

/* The page visited at a segment's step; *writes is false for a visit that only reads. */
u64 segment_page(const struct segment *s, u64 segment_step, u64 arena_pages, bool *writes);

/* Adds the first `steps` steps of the pattern to the counts. */
void pattern_replay(const struct pattern *p, u64 steps, struct visit_counts *counts);

#endif
