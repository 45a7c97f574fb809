// SPDX-License-Identifier: Apache-2.0
// What takes one page after the other, and is therefore the same on every CPU.

#pragma once

#include <cstddef>
#include <cstdint>

namespace slackwater {

// Adds the bits of `from` to `into`.
void Merge(uint64_t *into, const uint64_t *from, size_t words);

// Adds to counts[h] the pages whose heat is h.
void CountHeat(const uint8_t *heat, size_t pages, uint32_t *counts);

// The pages whose heat is at least `least`, as bits of `out`; bits beyond the last page are unset.
void Hotter(const uint8_t *heat, size_t pages, uint8_t least, uint64_t *out);

// Runs of set bits from bit `from` on, as pairs (first, length) in `out`, which has room for `room` pairs. Returns how
// many; as many as there is room for means that there may be more, after the last one.
size_t Extents(const uint64_t *bits, size_t bit_count, size_t from, uint32_t *out, size_t room);

// The pages whose bits are set, the hottest first and equally hot ones by number, in `out`, which has room for `room`.
// Returns how many.
size_t Order(const uint8_t *heat, const uint64_t *within, size_t bit_count, uint32_t *out, size_t room);

// One step of reuse times: for each dirty page, how many rounds ago it was dirty before. `last_round` holds the round
// per page (0: never), `histogram[n]` counts pages that came back after n rounds, its last entry longer ones too, and
// histogram[0] those that are dirty for the first time.
void Reuse(uint32_t *last_round, const uint64_t *dirty, size_t bit_count, uint32_t round, uint32_t *histogram,
           size_t buckets);

}  // namespace slackwater
