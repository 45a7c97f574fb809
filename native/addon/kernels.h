// SPDX-License-Identifier: Apache-2.0
// Work on bitmaps of pages: bit p is bit p % 8 of byte p / 8. Each kernel exists for every kind of CPU, with the same
// results; which one runs is chosen when the addon is loaded.

#pragma once

#include <cstddef>
#include <cstdint>

namespace slackwater {

enum class Combine { kFirst, kAnd, kOr, kAndNot };

struct Kernels {
  const char *name;

  // Bits that are set in the combination of the first `words` words. `b` is not read for kFirst.
  uint64_t (*count)(Combine combine, const uint64_t *a, const uint64_t *b, size_t words);

  // One step of heat for 64 pages per word: it decays by heat >> decay_shift, and rises by `rise` where the page is
  // dirty, up to 255.
  void (*heat)(uint8_t *heat, const uint64_t *dirty, size_t words, uint8_t rise, unsigned decay_shift);
};

extern const Kernels kScalarKernels;
extern const Kernels kAvx2Kernels;

// The fastest that this CPU can run.
const Kernels &ChooseKernels();

inline uint64_t Combined(Combine combine, const uint64_t *a, const uint64_t *b, size_t i) {
  switch (combine) {
    case Combine::kFirst:
      return a[i];
    case Combine::kAnd:
      return a[i] & b[i];
    case Combine::kOr:
      return a[i] | b[i];
    case Combine::kAndNot:
      return a[i] & ~b[i];
  }
  __builtin_unreachable();
}

inline void HeatWord(uint8_t *heat, uint64_t dirty, uint8_t rise, unsigned decay_shift) {
  for (unsigned bit = 0; bit < 64; bit++) {
    unsigned h = heat[bit];
    h -= h >> decay_shift;
    h += (dirty >> bit & 1) ? rise : 0;
    heat[bit] = static_cast<uint8_t>(h > 255 ? 255 : h);
  }
}

}  // namespace slackwater
