// SPDX-License-Identifier: Apache-2.0
// TCP sockets of another process of this host. The kernel lends them to whoever may trace it (CAP_SYS_PTRACE, or its own
// user where Yama does not forbid that).

#pragma once

#include <cstdint>

#include <sys/types.h>

namespace slackwater {

// Whether the process's descriptors are lent to us at all. False sets errno.
bool MayBorrow(pid_t pid, int fd);

// What TCP has seen of the way that a socket's bytes take.
struct TcpPath {
  // The least round-trip time.
  uint32_t min_rtt_us;
  // Acknowledged so far, and for how long there was anything to send or to wait for.
  uint64_t acked_bytes;
  uint64_t busy_us;
  // Taken from its owner, and not acknowledged yet.
  uint64_t queued_bytes;
};

// False sets errno.
bool ReadTcpPath(pid_t pid, int fd, TcpPath *path);

// Has the kernel queue at most about so many bytes in the socket; false sets errno.
bool SetSendBuffer(pid_t pid, int fd, int bytes);

// Has small packets leave at once; false sets errno.
bool SetNoDelay(pid_t pid, int fd);

// Has TCP send no faster than that, evenly; UINT64_MAX: as fast as it can. False sets errno.
bool SetPacingRate(pid_t pid, int fd, uint64_t bytes_per_sec);

}  // namespace slackwater
