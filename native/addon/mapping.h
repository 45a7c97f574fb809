// SPDX-License-Identifier: Apache-2.0
// Files mapped for reading, and reading them although somebody else may truncate them at any moment.

#pragma once

#include <cstddef>
#include <cstdint>

namespace slackwater {

// Maps the first `size` bytes of the file read-only. Returns null and sets errno where that fails.
uint8_t *MapFile(const char *path, size_t size);
void UnmapFile(uint8_t *data, size_t size);

// Whether the address lies in a mapped file: writing there would be the end of the process.
bool IsMapped(const void *address);

// Runs `work(context)`. Returns false if it read from a mapping beyond the end of its file: whatever it was about to
// return is then void. `work` must neither allocate nor own anything.
bool ReadGuarded(void (*work)(void *context), void *context);

}  // namespace slackwater
