// SPDX-License-Identifier: Apache-2.0
// The kernels for CPUs with AVX2. Bits are counted four at a time by a table of sixteen that is looked up in registers
// (Mula, Kurz, Lemire: "Faster Population Counts Using AVX2 Instructions", The Computer Journal 61, 2018).

#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels.h"

namespace slackwater {
namespace {

constexpr size_t kWordsPerVector = 4;

template <Combine combine>
__attribute__((target("avx2"))) inline __m256i Load(const uint64_t *a, const uint64_t *b, size_t i) {
  const __m256i va = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(a + i));
  if constexpr (combine == Combine::kFirst) return va;
  const __m256i vb = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(b + i));
  if constexpr (combine == Combine::kAnd) return _mm256_and_si256(va, vb);
  if constexpr (combine == Combine::kOr) return _mm256_or_si256(va, vb);
  return _mm256_andnot_si256(vb, va);
}

// How many bits each byte has.
__attribute__((target("avx2"))) inline __m256i BitsPerByte(__m256i v) {
  const __m256i low_nibbles = _mm256_set1_epi8(0x0f);
  const __m256i bits_of = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                           0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_and_si256(v, low_nibbles);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(v, 4), low_nibbles);
  return _mm256_add_epi8(_mm256_shuffle_epi8(bits_of, low), _mm256_shuffle_epi8(bits_of, high));
}

// Counts the halves side by side: one stream of reads alone does not keep the memory busy.
template <Combine combine>
__attribute__((target("avx2"))) uint64_t CountVectors(const uint64_t *a, const uint64_t *b, size_t words) {
  const size_t half = words / (2 * kWordsPerVector) * kWordsPerVector;
  __m256i sums = _mm256_setzero_si256();
  size_t i = 0;
  while (i < half) {
    // A byte holds 255: 15 times two vectors add at most 30 * 8 to it.
    __m256i bytes = _mm256_setzero_si256();
    for (unsigned n = 0; n < 15 && i < half; n++, i += kWordsPerVector) {
      bytes = _mm256_add_epi8(bytes, _mm256_add_epi8(BitsPerByte(Load<combine>(a, b, i)),  //
                                                     BitsPerByte(Load<combine>(a, b, half + i))));
    }
    sums = _mm256_add_epi64(sums, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
  }
  uint64_t count = static_cast<uint64_t>(_mm256_extract_epi64(sums, 0)) +
                   static_cast<uint64_t>(_mm256_extract_epi64(sums, 1)) +
                   static_cast<uint64_t>(_mm256_extract_epi64(sums, 2)) +
                   static_cast<uint64_t>(_mm256_extract_epi64(sums, 3));
  for (i = 2 * half; i < words; i++) count += __builtin_popcountll(Combined(combine, a, b, i));
  return count;
}

uint64_t Count(Combine combine, const uint64_t *a, const uint64_t *b, size_t words) {
  switch (combine) {
    case Combine::kFirst:
      return CountVectors<Combine::kFirst>(a, b, words);
    case Combine::kAnd:
      return CountVectors<Combine::kAnd>(a, b, words);
    case Combine::kOr:
      return CountVectors<Combine::kOr>(a, b, words);
    case Combine::kAndNot:
      return CountVectors<Combine::kAndNot>(a, b, words);
  }
  __builtin_unreachable();
}

// All ones in byte n where bit n of `bits` is set.
__attribute__((target("avx2"))) inline __m256i BytesOfBits(uint32_t bits) {
  const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)),
                                             _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,  //
                                                              2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3));
  const __m256i bit_of_byte = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit_of_byte), bit_of_byte);
}

__attribute__((target("avx2"))) void Heat(uint8_t *heat, const uint64_t *dirty, size_t words, uint8_t rise,
                                          unsigned decay_shift) {
  const __m256i rises = _mm256_set1_epi8(static_cast<char>(rise));
  const __m256i kept_of_shift = _mm256_set1_epi8(static_cast<char>(0xff >> decay_shift));
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(decay_shift));
  for (size_t i = 0; i < words; i++) {
    for (unsigned half = 0; half < 2; half++) {
      __m256i *at = reinterpret_cast<__m256i *>(heat + 64 * i + 32 * half);
      const __m256i h = _mm256_loadu_si256(at);
      // There is no shift of bytes: shift pairs, and drop what came over from the neighbour.
      const __m256i decay = _mm256_and_si256(_mm256_srl_epi16(h, shift), kept_of_shift);
      const __m256i rise_here = _mm256_and_si256(BytesOfBits(static_cast<uint32_t>(dirty[i] >> (32 * half))), rises);
      _mm256_storeu_si256(at, _mm256_adds_epu8(_mm256_sub_epi8(h, decay), rise_here));
    }
  }
}

}  // namespace

const Kernels kAvx2Kernels = {"avx2", Count, Heat};

}  // namespace slackwater

#endif
