// SPDX-License-Identifier: Apache-2.0

/** What TCP has seen of the way that a socket's bytes take. */
export interface TcpPath {
  /** The least round trip. */
  readonly minRttUs: number;
  /** Acknowledged so far, and for how long there was anything to send or to wait for. */
  readonly ackedBytes: number;
  readonly busyUs: number;
  /** Taken from its owner, and not acknowledged yet. */
  readonly queuedBytes: number;
}

/** What the native addon does to TCP sockets of another process of this host. All throw Error with the kernel's words. */
export interface SocketAccess {
  /** @throws Error where the process's descriptors are not lent */
  mayBorrow(pid: number, fd: number): void;
  tcpPath(pid: number, fd: number): TcpPath;
  /** Sets SO_SNDBUF. */
  setSendBuffer(pid: number, fd: number, bytes: number): void;
  /** Sets TCP_NODELAY. */
  setNoDelay(pid: number, fd: number): void;
  /** Sets SO_MAX_PACING_RATE; null: as fast as TCP can. */
  setPacingRate(pid: number, fd: number, bytesPerSec: number | null): void;
}
