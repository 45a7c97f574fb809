// SPDX-License-Identifier: Apache-2.0
// Which of QEMU's TCP connections carry its migration. QEMU does not say, and whoever starts a migration need not tell us where it
// goes: they are connections that came with it, to the end to which what it says it has sent went.

/** A connection that a process of this host began. */
export interface Connection {
  readonly inode: string;
  /** Address and port of the other end, as the kernel writes them. */
  readonly remote: string;
}

const ESTABLISHED = '01';
const LISTENING = '0A';

/** Of an address as the kernel writes it. */
export function portOf(address: string): number {
  return parseInt(address.slice(address.lastIndexOf(':') + 1), 16);
}

/**
 * The established connections of a network namespace out of the text of its /proc/PID/net/tcp or tcp6, less those that came in at a
 * port where somebody listens: a migration goes out.
 */
export function outgoingConnections(text: string): Connection[] {
  const rows = text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .map(([, local = '', remote = '', state, , , , , , inode = '']) => ({ local, remote, state, inode }));
  const listening = new Set(
    rows.filter(({ state }) => state === LISTENING).map(({ local }) => portOf(local)),
  );
  return rows
    .filter(({ state, local }) => state === ESTABLISHED && !listening.has(portOf(local)))
    .map(({ inode, remote }) => ({ inode, remote }));
}

/** QEMU counts what it hands over, the kernel what it has taken, some ms apart. Others are off by more, or were there before. */
const MOST_DIFFERENCE_RATIO = 0.2;

/**
 * Those of the connections that carry the migration: the one that was given about as much as QEMU says it has sent, and
 * whatever else leads to the same end. None where none was: it goes over a UNIX socket, through somebody else's hands, or over several
 * connections at once.
 *
 * Worked example: of 62 MB sent, one connection was given 61 MB, another to the same end nothing, and one to a disk elsewhere 3 MB: the
 * first two.
 */
export function migrationStreams<T extends { readonly remote: string; readonly givenBytes: number }>(
  connections: readonly T[],
  sentBytes: number,
): readonly T[] {
  const differenceOf = ({ givenBytes }: T): number => Math.abs(givenBytes - sentBytes);
  const [nearest] = connections.toSorted((a, b) => differenceOf(a) - differenceOf(b));
  if (nearest === undefined || sentBytes <= 0) return [];
  if (differenceOf(nearest) > sentBytes * MOST_DIFFERENCE_RATIO) return [];
  return connections.filter(({ remote }) => remote === nearest.remote);
}
