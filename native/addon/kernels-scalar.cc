// SPDX-License-Identifier: Apache-2.0
// The kernels for every CPU.

#include "kernels.h"

namespace slackwater {
namespace {

template <Combine combine>
uint64_t CountWords(const uint64_t *a, const uint64_t *b, size_t words) {
  uint64_t count = 0;
  for (size_t i = 0; i < words; i++) count += __builtin_popcountll(Combined(combine, a, b, i));
  return count;
}

uint64_t Count(Combine combine, const uint64_t *a, const uint64_t *b, size_t words) {
  switch (combine) {
    case Combine::kFirst:
      return CountWords<Combine::kFirst>(a, b, words);
    case Combine::kAnd:
      return CountWords<Combine::kAnd>(a, b, words);
    case Combine::kOr:
      return CountWords<Combine::kOr>(a, b, words);
    case Combine::kAndNot:
      return CountWords<Combine::kAndNot>(a, b, words);
  }
  __builtin_unreachable();
}

void Heat(uint8_t *heat, const uint64_t *dirty, size_t words, uint8_t rise, unsigned decay_shift) {
  for (size_t i = 0; i < words; i++) HeatWord(heat + 64 * i, dirty[i], rise, decay_shift);
}

}  // namespace

const Kernels kScalarKernels = {"scalar", Count, Heat};

const Kernels &ChooseKernels() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return kAvx2Kernels;
#endif
  return kScalarKernels;
}

}  // namespace slackwater
