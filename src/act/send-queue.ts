// SPDX-License-Identifier: Apache-2.0
// The send queue of a stock QEMU's migration stream, made short before the switch to post-copy. Linux lets it grow to megabytes,
// and switches on the way queue more: STOP to RESUME waits for what is in it, and so do pages that the guest requests after RESUME.
// QEMU has no settings for it; the sockets' own can be changed from outside, by whoever may trace QEMU: room for less, a rate that
// fills no queue, and small packets at once. All of it ends with the sockets: nothing is to be undone.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { messageOf, SlackwaterError, type SocketAccess, type TcpPath } from '../common/index.ts';
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

/** Of what the way carries: what is sent faster waits in its queues, and requested pages behind it. */
const PACE_RATIO = 0.99;
/** A stream that was busy for less has not shown what the way carries. */
const LEAST_BUSY_US = 100_000;

/**
 * How fast the stream may go without filling queues on the way, by what the busiest connection has had acknowledged while it
 * had anything to send; null: not known yet. Worked example: 23.6 MB in 0.2 s: 118 MB/s, of which 116.8.
 */
export function paceBytesPerSec(paths: readonly TcpPath[]): number | null {
  const busiest = paths.reduce<TcpPath | null>(
    (most, path) => (path.ackedBytes > (most?.ackedBytes ?? 0) ? path : most),
    null,
  );
  if (busiest === null || busiest.busyUs < LEAST_BUSY_US) return null;
  return Math.round((busiest.ackedBytes / busiest.busyUs) * 1e6 * PACE_RATIO);
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

  /**
   * Makes the queue of each connection to the port as short as the bandwidth allows, here and, where `paced`, on the way: no faster
   * than TCP has seen it carry, evenly, so that none builds up in a switch. Small packets, such as the end of a page, wait for nothing.
   * @throws SendQueueError
   */
  shorten(bandwidthBytesPerSec: number, paced: boolean): void {
    try {
      const streams = this.#streams().map((fd) => ({ fd, path: this.#access.tcpPath(this.#pid, fd) }));
      const pace = paced ? paceBytesPerSec(streams.map(({ path }) => path)) : null;
      for (const { fd, path } of streams) {
        const bytes = sendBufferBytes(bandwidthBytesPerSec, path.minRttUs / 1000);
        this.#access.setSendBuffer(this.#pid, fd, bytes);
        this.#access.setNoDelay(this.#pid, fd);
        if (pace !== null) this.#access.setPacingRate(this.#pid, fd, pace);
      }
    } catch (error) {
      throw new SendQueueError(`the send queue stays as long as it is: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Lets the stream go as fast as TCP can again. @throws SendQueueError */
  endPacing(): void {
    try {
      for (const fd of this.#streams()) this.#access.setPacingRate(this.#pid, fd, null);
    } catch (error) {
      throw new SendQueueError(`the stream stays as fast as it was: ${messageOf(error)}`, { cause: error });
    }
  }

  #streams(): readonly number[] {
    const inodes = new Set(
      ['tcp', 'tcp6'].flatMap((table) =>
        inodesTo(this.#port, readFileSync(`/proc/${this.#pid}/net/${table}`, 'utf8')),
      ),
    );
    const streams = descriptorsOf(this.#pid).filter((fd) => inodes.has(this.#inodeOf(fd)));
    if (streams.length === 0) throw new Error(`no connection to port ${this.#port}`);
    return streams;
  }

  #inodeOf(fd: number): string {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${this.#pid}/fd/${fd}`))?.[1] ?? '';
    } catch {
      return ''; // Closed between the look and this.
    }
  }
}
