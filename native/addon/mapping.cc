// SPDX-License-Identifier: Apache-2.0

#include "mapping.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <mutex>

namespace slackwater {
namespace {

thread_local sigjmp_buf *landing = nullptr;
struct sigaction previous;

// Beginning and end of each mapped file.
std::mutex mappings_lock;
std::map<const uint8_t *, const uint8_t *> mappings;

void OnBusError(int signal, siginfo_t *info, void *context) {
  if (landing != nullptr) siglongjmp(*landing, 1);
  // Not ours: as if we had never been here.
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  sigaction(SIGBUS, &previous, nullptr);
  raise(SIGBUS);
}

void InstallHandler() {
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous);
}

}  // namespace

uint8_t *MapFile(const char *path, size_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void *data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  const int error = errno;
  close(fd);
  errno = error;
  if (data == MAP_FAILED) return nullptr;
  auto *mapped = static_cast<uint8_t *>(data);
  const std::lock_guard<std::mutex> guard(mappings_lock);
  mappings[mapped] = mapped + size;
  return mapped;
}

void UnmapFile(uint8_t *data, size_t size) {
  const std::lock_guard<std::mutex> guard(mappings_lock);
  mappings.erase(data);
  munmap(data, size);
}

bool IsMapped(const void *address) {
  const auto *byte = static_cast<const uint8_t *>(address);
  const std::lock_guard<std::mutex> guard(mappings_lock);
  auto after = mappings.upper_bound(byte);
  return after != mappings.begin() && byte < (--after)->second;
}

bool ReadGuarded(void (*work)(void *), void *context) {
  static std::once_flag once;
  std::call_once(once, InstallHandler);
  sigjmp_buf here;
  if (sigsetjmp(here, 0) != 0) {
    landing = nullptr;
    return false;
  }
  landing = &here;
  work(context);
  landing = nullptr;
  return true;
}

}  // namespace slackwater
