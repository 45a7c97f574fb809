// SPDX-License-Identifier: Apache-2.0
// The two pure functions of a pattern: from a step to its page, and between steps and time; and the replay of both.

#include "pattern.h"

/* floor(rate x time / page size) without overflow. Example: 200 MiB/s for 1 ms = 51 pages. */
static u64 pages_in(u64 rate_bytes_per_sec, u64 elapsed_ns)
{
    return (u64)((u128)rate_bytes_per_sec * elapsed_ns / (PAGE_BYTES * NS_PER_SEC));
}

/* The least time after which pages_in() reaches `pages`. */
static u64 time_for(u64 rate_bytes_per_sec, u64 pages)
{
    u128 work = (u128)pages * PAGE_BYTES * NS_PER_SEC;
    return (u64)((work + rate_bytes_per_sec - 1) / rate_bytes_per_sec);
}

u64 pattern_steps_at(const struct pattern *p, u64 elapsed_ns)
{
    if (p->endless)
        return p->segments[0].kind == SEG_IDLE ? 0 : pages_in(p->segments[0].rate_bytes_per_sec, elapsed_ns);
    u64 steps = elapsed_ns / p->cycle_ns * p->cycle_steps;
    u64 rest_ns = elapsed_ns % p->cycle_ns;
    for (int i = 0; i < p->segment_count; i++) {
        const struct segment *s = &p->segments[i];
        if (rest_ns < s->duration_ns) {
            u64 part = s->steps == 0 ? 0 : pages_in(s->rate_bytes_per_sec, rest_ns);
            return steps + (part < s->steps ? part : s->steps);
        }
        steps += s->steps;
        rest_ns -= s->duration_ns;
    }
    return steps;
}

u64 pattern_due_ns(const struct pattern *p, u64 step)
{
    if (p->endless)
        return p->segments[0].kind == SEG_IDLE ? UINT64_MAX : time_for(p->segments[0].rate_bytes_per_sec, step + 1);
    if (p->cycle_steps == 0)
        return UINT64_MAX;
    u64 at_ns = step / p->cycle_steps * p->cycle_ns;
    u64 rest = step % p->cycle_steps;
    for (int i = 0; i < p->segment_count; i++) {
        const struct segment *s = &p->segments[i];
        if (rest < s->steps)
            return at_ns + time_for(s->rate_bytes_per_sec, rest + 1);
        rest -= s->steps;
        at_ns += s->duration_ns;
    }
    return at_ns;
}

const struct segment *pattern_locate(const struct pattern *p, u64 step, u64 *segment_step, u64 *steps_left)
{
    if (p->endless) {
        *segment_step = step;
        *steps_left = UINT64_MAX;
        return &p->segments[0];
    }
    u64 cycle = step / p->cycle_steps;
    u64 rest = step % p->cycle_steps;
    int i = 0;
    while (rest >= p->segments[i].steps)
        rest -= p->segments[i++].steps;
    *segment_step = cycle * p->segments[i].steps + rest;
    *steps_left = p->segments[i].steps - rest;
    return &p->segments[i];
}

static inline u64 hash_step(const struct segment *s, u64 segment_step)
{
    return mix64(s->salt + segment_step * 0x9e3779b97f4a7c15ull);
}

static inline u64 scaled(u64 hash, u64 range)
{
    return (u64)(((u128)hash * range) >> 64);
}

static u64 zipf_page(const struct segment *s, u64 hash)
{
    u64 slot = hash >> 52; /* 12 bits: ZIPF_STEPS slots */
    u64 fraction = (hash >> 20) & 0xffffffffull;
    u64 low = s->zipf[slot];
    u64 high = s->zipf[slot + 1];
    u64 rank = (low + (u64)(((u128)(high - low) * fraction) >> 32)) >> 32;
    if (rank >= s->set_pages)
        rank = s->set_pages - 1;
    /* Neighbouring ranks lie far apart in memory; drift_pages is coprime to the set, so this is a permutation. */
    return rank * s->drift_pages % s->set_pages;
}

u64 segment_page(const struct segment *s, u64 segment_step, u64 arena_pages, bool *writes)
{
    *writes = true;
    switch (s->kind) {
    case SEG_ZIPF:
        return s->offset_page + zipf_page(s, hash_step(s, segment_step));
    case SEG_DRIFT: {
        u64 pass = segment_step / s->set_pages;
        u64 place = segment_step % s->set_pages;
        if (s->random_order)
            place = scaled(hash_step(s, segment_step), s->set_pages);
        return (s->offset_page + pass * s->drift_pages + place) % arena_pages;
    }
    case SEG_READMOSTLY:
        *writes = (u32)(mix64(hash_step(s, segment_step) + 1) >> 32) < s->write_threshold;
        break;
    case SEG_STEADY:
    case SEG_IDLE:
        break;
    }
    u64 place = s->random_order ? scaled(hash_step(s, segment_step), s->set_pages) : segment_step % s->set_pages;
    return s->offset_page + place;
}

static inline void count_visits(const struct segment *s, struct visit_counts *counts, u64 page, u32 visits)
{
    counts->version[page] += visits;
    if (s->whole_page)
        counts->content_version[page] = counts->version[page];
}

static void replay_segment(const struct segment *s, u64 from, u64 steps, u64 arena_pages, struct visit_counts *counts)
{
    u64 k = from;
    u64 end = from + steps;
    if (s->kind == SEG_STEADY && !s->random_order && steps > s->set_pages) {
        /* Whole passes over the set: each page once a pass, whatever the pass starts with. */
        u64 passes = steps / s->set_pages;
        for (u64 i = 0; i < s->set_pages; i++)
            count_visits(s, counts, s->offset_page + i, (u32)passes);
        k += passes * s->set_pages;
    }
    for (; k < end; k++) {
        bool writes;
        u64 page = segment_page(s, k, arena_pages, &writes);
        if (writes)
            count_visits(s, counts, page, 1);
    }
}

void pattern_replay(const struct pattern *p, u64 steps, struct visit_counts *counts)
{
    u64 step = 0;
    while (step < steps) {
        u64 segment_step, left;
        const struct segment *s = pattern_locate(p, step, &segment_step, &left);
        u64 take = left < steps - step ? left : steps - step;
        replay_segment(s, segment_step, take, p->arena_pages, counts);
        step += take;
    }
}
