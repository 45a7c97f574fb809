// SPDX-License-Identifier: Apache-2.0
// The thread that writes the pattern into the arena, and the check that no write was lost.
#ifndef SLACKWATER_WRITER_H
#define SLACKWATER_WRITER_H

#include "arena.h"
#include "pattern.h"

enum { BAD_PAGES_REPORTED = 6 };

struct writer_status {
    bool paused;
    u64 steps;              /* over all patterns */
    u64 rate_bytes_per_sec; /* over the last second of writing: pages visited x page size */
    u64 shed_ms;            /* time given up because the pattern could not be kept up with */
    const char *spec;
};

struct bad_page {
    u64 page;
    u64 physical;
    bool hot;
    u64 expected_version;
    u64 got_version;
    int first_word;
    int words;
};

struct verify_report {
    u64 hot_pages;
    u64 cold_pages;
    u64 bad_pages;
    int reported;
    struct bad_page bad[BAD_PAGES_REPORTED];
};

/* Starts the thread. `pattern` must have been parsed for this arena. */
void writer_start(const struct arena *arena, const struct pattern *pattern);

/* Returns once the writer stands still between two pages. */
void writer_pause(void);
void writer_resume(void);

/* Ends the present pattern at a page boundary and goes on with another. False: too many patterns in one life. */
bool writer_switch(const struct pattern *pattern);

void writer_get_status(struct writer_status *out);

/* Both: only while paused. */
void writer_verify(struct verify_report *out);
bool writer_where(bool hot, u64 n, struct bad_page *out);

/* Allocates what verifying needs. Called before the arena takes the rest of the memory. */
void writer_reserve(u64 pages_max);

#endif
