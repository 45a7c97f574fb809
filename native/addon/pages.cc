// SPDX-License-Identifier: Apache-2.0

#include "pages.h"

namespace slackwater {
namespace {

// The first bit at or after `from` that is set, or unset with `flip`; `end` if there is none below.
size_t NextBit(const uint64_t *bits, size_t end, size_t from, bool flip) {
  const uint64_t inverse = flip ? ~0ull : 0;
  if (from >= end) return end;
  size_t i = from / 64;
  uint64_t word = (bits[i] ^ inverse) & (~0ull << (from % 64));
  while (word == 0) {
    if (++i * 64 >= end) return end;
    word = bits[i] ^ inverse;
  }
  const size_t bit = i * 64 + static_cast<size_t>(__builtin_ctzll(word));
  return bit < end ? bit : end;
}

template <typename Visit>
void ForEachBit(const uint64_t *bits, size_t bit_count, Visit visit) {
  for (size_t i = 0; i * 64 < bit_count; i++) {
    uint64_t word = bits[i];
    if (bit_count - i * 64 < 64) word &= (1ull << (bit_count - i * 64)) - 1;
    for (; word != 0; word &= word - 1) visit(i * 64 + static_cast<size_t>(__builtin_ctzll(word)));
  }
}

}  // namespace

void Merge(uint64_t *into, const uint64_t *from, size_t words) {
  for (size_t i = 0; i < words; i++) into[i] |= from[i];
}

void CountHeat(const uint8_t *heat, size_t pages, uint32_t *counts) {
  for (size_t page = 0; page < pages; page++) counts[heat[page]]++;
}

void Hotter(const uint8_t *heat, size_t pages, uint8_t least, uint64_t *out) {
  for (size_t i = 0; i * 64 < pages; i++) {
    const size_t count = pages - i * 64 < 64 ? pages - i * 64 : 64;
    uint64_t word = 0;
    for (size_t bit = 0; bit < count; bit++) word |= static_cast<uint64_t>(heat[i * 64 + bit] >= least) << bit;
    out[i] = word;
  }
}

size_t Extents(const uint64_t *bits, size_t bit_count, size_t from, uint32_t *out, size_t room) {
  size_t found = 0;
  for (size_t first = NextBit(bits, bit_count, from, false); first < bit_count && found < room; found++) {
    const size_t end = NextBit(bits, bit_count, first, true);
    out[2 * found] = static_cast<uint32_t>(first);
    out[2 * found + 1] = static_cast<uint32_t>(end - first);
    first = NextBit(bits, bit_count, end, false);
  }
  return found;
}

size_t Order(const uint8_t *heat, const uint64_t *within, size_t bit_count, uint32_t *out, size_t room) {
  // Counting sort over the 256 values that heat has.
  size_t next[256] = {};
  ForEachBit(within, bit_count, [&](size_t page) { next[heat[page]]++; });
  size_t begin = 0;
  for (int value = 255; value >= 0; value--) {
    const size_t count = next[value];
    next[value] = begin;
    begin += count;
  }
  ForEachBit(within, bit_count, [&](size_t page) {
    const size_t at = next[heat[page]]++;
    if (at < room) out[at] = static_cast<uint32_t>(page);
  });
  return begin < room ? begin : room;
}

void Reuse(uint32_t *last_round, const uint64_t *dirty, size_t bit_count, uint32_t round, uint32_t *histogram,
           size_t buckets) {
  ForEachBit(dirty, bit_count, [&](size_t page) {
    const uint32_t before = last_round[page];
    const size_t distance = before == 0 ? 0 : round - before;
    histogram[distance < buckets ? distance : buckets - 1]++;
    last_round[page] = round;
  });
}

}  // namespace slackwater
