// SPDX-License-Identifier: Apache-2.0

#include "sockets.h"

#include <cerrno>
#include <cstddef>

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace slackwater {
namespace {

// Our own descriptor of what another process's stands for; closed at the end of its scope, errno kept.
class Borrowed {
 public:
  Borrowed(pid_t pid, int fd) {
    const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (process == -1) return;
    fd_ = static_cast<int>(syscall(SYS_pidfd_getfd, process, fd, 0));
    Close(process);
  }
  ~Borrowed() {
    if (fd_ != -1) Close(fd_);
  }
  Borrowed(const Borrowed &) = delete;
  Borrowed &operator=(const Borrowed &) = delete;
  int fd() const { return fd_; }

 private:
  static void Close(int fd) {
    const int kept = errno;
    close(fd);
    errno = kept;
  }
  int fd_ = -1;
};

bool IsTcp(int fd) {
  int protocol = 0;
  socklen_t size = sizeof(protocol);
  if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == -1) return false;
  if (protocol == IPPROTO_TCP) return true;
  errno = EPROTOTYPE;
  return false;
}

}  // namespace

bool MayBorrow(pid_t pid, int fd) { return Borrowed(pid, fd).fd() != -1; }

bool ReadTcpPath(pid_t pid, int fd, TcpPath *path) {
  const Borrowed borrowed(pid, fd);
  if (borrowed.fd() == -1 || !IsTcp(borrowed.fd())) return false;
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(borrowed.fd(), IPPROTO_TCP, TCP_INFO, &info, &size) == -1) return false;
  if (size < offsetof(tcp_info, tcpi_busy_time) + sizeof(info.tcpi_busy_time)) {
    errno = ENOSYS;
    return false;
  }
  // The kernel's word for "not seen yet".
  if (info.tcpi_min_rtt == UINT32_MAX) {
    errno = ENODATA;
    return false;
  }
  int queued = 0;
  if (ioctl(borrowed.fd(), SIOCOUTQ, &queued) == -1) return false;
  *path = {info.tcpi_min_rtt, info.tcpi_bytes_acked, info.tcpi_busy_time, static_cast<uint64_t>(queued)};
  return true;
}

bool SetSendBuffer(pid_t pid, int fd, int bytes) {
  const Borrowed borrowed(pid, fd);
  if (borrowed.fd() == -1 || !IsTcp(borrowed.fd())) return false;
  return setsockopt(borrowed.fd(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0;
}

bool SetNoDelay(pid_t pid, int fd) {
  const Borrowed borrowed(pid, fd);
  if (borrowed.fd() == -1 || !IsTcp(borrowed.fd())) return false;
  const int on = 1;
  return setsockopt(borrowed.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
}

bool SetPacingRate(pid_t pid, int fd, uint64_t bytes_per_sec) {
  const Borrowed borrowed(pid, fd);
  if (borrowed.fd() == -1 || !IsTcp(borrowed.fd())) return false;
  return setsockopt(borrowed.fd(), SOL_SOCKET, SO_MAX_PACING_RATE, &bytes_per_sec,
                    sizeof(bytes_per_sec)) == 0;
}

}  // namespace slackwater
