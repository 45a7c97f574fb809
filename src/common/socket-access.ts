// SPDX-License-Identifier: Apache-2.0

/** What the native addon does to TCP sockets of another process of this host. All throw Error with the kernel's words. */
export interface SocketAccess {
  /** @throws Error where the process's descriptors are not lent */
  mayBorrow(pid: number, fd: number): void;
  /** The least round trip that TCP has seen, in microseconds. */
  tcpMinRttUs(pid: number, fd: number): number;
  /** Sets SO_SNDBUF. */
  setSendBuffer(pid: number, fd: number, bytes: number): void;
}
