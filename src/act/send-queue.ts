// SPDX-License-Identifier: Apache-2.0
// The send queue of a stock QEMU's migration stream, made short before the switch to post-copy. Linux lets it grow to megabytes:
// STOP to RESUME waits for what is in it, and after RESUME page requests wait for QEMU's sender, which holds the lock that they
// need while it waits for room. QEMU has no setting for it; the socket's own size can be set from outside, by whoever may
// trace QEMU. It ends with the socket: nothing is to be undone.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { messageOf, SlackwaterError, type SocketAccess } from '../common/index.ts';
import type { QemuInstance } from './journal.ts';

/** The send queue cannot be reached, or is none of TCP. */
export class SendQueueError extends SlackwaterError {
  readonly code = 'ERR_SEND_QUEUE';
}

/** How late a sender may be in filling it. Tried at 1 Gbit/s: 0.1 and 0.25 ms gain alike, 0.5 ms loses most of it (bench/README.md). */
const LATE_MS = 0.15;
const LEAST_BYTES = 16 * 1024;
const ESTABLISHED = '01';

/**
 * SO_SNDBUF for a stream of that bandwidth: what is on its way within a round trip, and what a sender that is woken late needs
 * (the kernel doubles it for its own bookkeeping). Worked example: 117 MB/s and 0.04 ms: 22 kB; and 20 ms: 2.4 MB.
 */
export function sendBufferBytes(bandwidthBytesPerSec: number, minRttMs: number): number {
  return Math.max(LEAST_BYTES, Math.round((bandwidthBytesPerSec * (minRttMs + LATE_MS)) / 1000));
}

/** Inodes of the established connections to a remote port, out of the text of /proc/PID/net/tcp or tcp6. */
export function inodesTo(port: number, text: string): string[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, , remote = '', state]) =>
        state === ESTABLISHED && parseInt(remote.split(':')[1] ?? '', 16) === port,
    )
    .flatMap((fields) => fields[9] ?? []);
}

/** The process that a thread belongs to. */
function processOf(threadId: number): number {
  return Number(/^Tgid:\s+(\d+)$/m.exec(readFileSync(`/proc/${threadId}/status`, 'utf8'))?.[1]);
}

function descriptorsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/fd`).map(Number);
}

export class SendQueue {
  readonly #access: SocketAccess;
  readonly #pid: number;
  readonly #port: number;

  private constructor(access: SocketAccess, pid: number, port: number) {
    this.#access = access;
    this.#pid = pid;
    this.#port = port;
  }

  /**
   * Of the migration that this QEMU will send to that port. Changes nothing.
   * @throws SendQueueError where its sockets cannot be reached from here
   */
  static open(access: SocketAccess, instance: QemuInstance, port: number): SendQueue {
    if (instance.startTicks === null) throw new SendQueueError('its QEMU is on another host');
    try {
      const pid = processOf(instance.vcpuThreadId);
      const [fd] = descriptorsOf(pid);
      access.mayBorrow(pid, fd ?? 0);
      return new SendQueue(access, pid, port);
    } catch (error) {
      throw new SendQueueError(`QEMU's sockets cannot be reached: ${messageOf(error)}`, {
        cause: error,
        remedy: 'run slackwater with CAP_SYS_PTRACE, or as the user that QEMU runs as',
      });
    }
  }

  /** Makes the queue of each connection to the port as short as the bandwidth allows. @throws SendQueueError */
  shorten(bandwidthBytesPerSec: number): void {
    try {
      const inodes = new Set(
        ['tcp', 'tcp6'].flatMap((table) =>
          inodesTo(this.#port, readFileSync(`/proc/${this.#pid}/net/${table}`, 'utf8')),
        ),
      );
      const streams = descriptorsOf(this.#pid).filter((fd) => inodes.has(this.#inodeOf(fd)));
      if (streams.length === 0) throw new Error(`no connection to port ${this.#port}`);
      for (const fd of streams) {
        const minRttMs = this.#access.tcpMinRttUs(this.#pid, fd) / 1000;
        this.#access.setSendBuffer(this.#pid, fd, sendBufferBytes(bandwidthBytesPerSec, minRttMs));
      }
    } catch (error) {
      throw new SendQueueError(`the send queue stays as long as it is: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #inodeOf(fd: number): string {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${this.#pid}/fd/${fd}`))?.[1] ?? '';
    } catch {
      return ''; // Closed between the look and this.
    }
  }
}
