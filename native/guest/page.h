// SPDX-License-Identifier: Apache-2.0
// What a page holds: word 0 is the number of writes it has seen, words 1..511 are f(seed, page, version) and do not
// compress. About four instructions a word, so that an emulated CPU still writes several hundred MiB/s.
#ifndef SLACKWATER_PAGE_H
#define SLACKWATER_PAGE_H

#include "base.h"

#define PAGE_STRIDE 0x9e3779b97f4a7c15ull
#define PAGE_MULTIPLIER 0xd6e8feb86659fd93ull

static inline u64 page_key(u64 seed, u64 page, u64 version)
{
    return mix64(mix64(seed + page * PAGE_STRIDE) ^ (version * PAGE_MULTIPLIER));
}

static inline u64 page_word(u64 y)
{
    return (y ^ (y >> 32)) * PAGE_MULTIPLIER;
}

/* Writes words 1..511 of version `version`; word 0 is the caller's. */
static inline void page_fill(u64 *words, u64 seed, u64 page, u64 version)
{
    u64 y = page_key(seed, page, version);
    for (int i = 1; i < PAGE_WORDS; i++) {
        words[i] = page_word(y);
        y += PAGE_STRIDE;
    }
}

/*
 * Compares a page with what it must hold: the counter `version`, the content of `content_version` (they differ after
 * writes that touched the counter only). Returns the number of bad words, the first of them in *first_bad.
 */
static inline int page_check(const u64 *words, u64 seed, u64 page, u64 version, u64 content_version, int *first_bad)
{
    int bad = 0;
    if (words[0] != version) {
        bad = 1;
        *first_bad = 0;
    }
    u64 y = page_key(seed, page, content_version);
    for (int i = 1; i < PAGE_WORDS; i++) {
        if (words[i] != page_word(y)) {
            if (bad == 0)
                *first_bad = i;
            bad++;
        }
        y += PAGE_STRIDE;
    }
    return bad;
}

#endif
