// SPDX-License-Identifier: Apache-2.0
// The send queue of a stock QEMU's migration stream, made short before the switch to post-copy. Linux lets it grow to megabytes,
// and switches on the way queue more: STOP to RESUME waits for what is in it, and so do pages that the guest requests after RESUME.
// QEMU has no settings for it; the sockets' own can be changed from outside, by whoever may trace QEMU: room for less, a rate that
// fills no queue, and small packets at once. All of it ends with the sockets; a pace ends sooner where we stop to steer before.

import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { messageOf, SlackwaterError, type SocketAccess, type TcpPath } from '../common/index.ts';
import type { QemuInstance } from './journal.ts';
import { type Connection, migrationStreams, outgoingConnections, portOf } from './migration-streams.ts';

/** The send queue cannot be reached, or is none of TCP. */
export class SendQueueError extends SlackwaterError {
  readonly code = 'ERR_SEND_QUEUE';
}

/** How late a sender may be in filling it. Tried at 1 Gbit/s: 0.1 and 0.25 ms gain alike, 0.5 ms loses most of it (bench/README.md). */
const LATE_MS = 0.15;
const LEAST_BYTES = 16 * 1024;

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

/** The process that a thread belongs to. */
function processOf(threadId: number): number {
  return Number(/^Tgid:\s+(\d+)$/m.exec(readFileSync(`/proc/${threadId}/status`, 'utf8'))?.[1]);
}

function descriptorsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/fd`).map(Number);
}

interface Stream {
  readonly fd: number;
  readonly remote: string;
}

export class SendQueue {
  readonly #access: SocketAccess;
  readonly #pid: number;
  /** Where the migration goes; null: nobody told. */
  readonly #port: number | null;
  /** Inodes of the connections that were there before the migration. */
  readonly #before: ReadonlySet<string>;
  /** The end to which a stream goes that is paced. */
  #pacedTo: string | null = null;

  private constructor(access: SocketAccess, pid: number, port: number | null) {
    this.#access = access;
    this.#pid = pid;
    this.#port = port;
    this.#before = new Set(this.#connections().map(({ inode }) => inode));
  }

  /**
   * Of the migration that this QEMU will begin next, to that port where it is known. Changes nothing.
   * @throws SendQueueError where its sockets cannot be reached from here
   */
  static open(access: SocketAccess, instance: QemuInstance, port: number | null): SendQueue {
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

  /** Whether a connection has come by now that may be the migration's. */
  mayHaveStream(): boolean {
    return this.#streams().length > 0;
  }

  /** Whether there is one that has carried what QEMU says it has sent. */
  hasStream(sentBytes: number): boolean {
    return migrationStreams(this.#given(), sentBytes).length > 0;
  }

  /**
   * Makes the queue of each connection of the migration as short as the bandwidth allows, here and, where `paced`, on the way: no
   * faster than TCP has seen it carry, evenly, so that none builds up in a switch. Small packets, such as the end of a page, wait for
   * nothing. `sentBytes`: what QEMU says it has sent by now; they are known by that.
   * @throws SendQueueError
   */
  shorten(bandwidthBytesPerSec: number, paced: boolean, sentBytes: number): void {
    try {
      const streams = migrationStreams(this.#given(), sentBytes);
      const [first] = streams;
      if (first === undefined) throw new Error('no connection of QEMU carries the migration');
      const pace = paced ? paceBytesPerSec(streams.map(({ path }) => path)) : null;
      if (pace !== null) this.#pacedTo = first.remote;
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

  /** Lets a stream that was paced go as fast as TCP can again. @throws SendQueueError */
  endPacing(): void {
    const to = this.#pacedTo;
    if (to === null) return;
    try {
      for (const { fd } of this.#streams().filter(({ remote }) => remote === to)) {
        this.#access.setPacingRate(this.#pid, fd, null);
      }
      this.#pacedTo = null;
    } catch (error) {
      throw new SendQueueError(`the stream stays as fast as it was: ${messageOf(error)}`, { cause: error });
    }
  }

  #connections(): readonly Connection[] {
    return ['tcp', 'tcp6'].flatMap((table) =>
      outgoingConnections(readFileSync(`/proc/${this.#pid}/net/${table}`, 'utf8')),
    );
  }

  /** The process's own connections that came since; none once it has ended. */
  #streams(): readonly Stream[] {
    try {
      const remotes = new Map(
        this.#connections()
          .filter(({ inode }) => !this.#before.has(inode))
          .filter(({ remote }) => this.#port === null || this.#port === portOf(remote))
          .map(({ inode, remote }) => [inode, remote]),
      );
      return descriptorsOf(this.#pid).flatMap((fd) => {
        const remote = remotes.get(this.#inodeOf(fd));
        return remote === undefined ? [] : [{ fd, remote }];
      });
    } catch (error) {
      if (!existsSync(`/proc/${this.#pid}`)) return [];
      throw error;
    }
  }

  /** With what each was given to carry; without those of which nothing is known. */
  #given(): readonly (Stream & { readonly path: TcpPath; readonly givenBytes: number })[] {
    return this.#streams().flatMap((stream) => {
      try {
        const path = this.#access.tcpPath(this.#pid, stream.fd);
        return [{ ...stream, path, givenBytes: path.ackedBytes + path.queuedBytes }];
      } catch {
        return []; // Closed between the look and this, or nothing has come back on it yet.
      }
    });
  }

  #inodeOf(fd: number): string {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${this.#pid}/fd/${fd}`))?.[1] ?? '';
    } catch {
      return ''; // Closed between the look and this.
    }
  }
}
