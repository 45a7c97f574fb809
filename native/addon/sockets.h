// SPDX-License-Identifier: Apache-2.0
// TCP sockets of another process of this host. The kernel lends them to whoever may trace it (CAP_SYS_PTRACE, or its own
// user where Yama does not forbid that).

#pragma once

#include <cstdint>

#include <sys/types.h>

namespace slackwater {

// Whether the process's descriptors are lent to us at all. False sets errno.
bool MayBorrow(pid_t pid, int fd);

// The least round-trip time that TCP has seen on the socket, in microseconds; -1 sets errno.
int64_t TcpMinRttUs(pid_t pid, int fd);

// Has the kernel queue at most about so many bytes in the socket; false sets errno.
bool SetSendBuffer(pid_t pid, int fd, int bytes);

}  // namespace slackwater
