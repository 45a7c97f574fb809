// SPDX-License-Identifier: Apache-2.0
// What shapes a NIC now, and where our classes may hang: in place of the kernel's default, which is nobody's; beside the classes
// of somebody's HTB; nowhere in anything else.

import { TcTakenError } from './errors.ts';
import { type Anchor, MAX_CLASSES, OUR_ANCHOR } from './tree.ts';

export interface Qdisc {
  readonly kind: string;
  /** "0:" is the kernel's default. */
  readonly handle: string;
  readonly isRoot: boolean;
}

export interface ClassStats {
  /** "5a1:2" */
  readonly id: string;
  readonly rateBytesPerSec: number;
  readonly ceilBytesPerSec: number;
  readonly priority: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
  readonly drops: number;
  readonly backlogBytes: number;
}

/** Rows of `qdisc show`. */
export function readQdiscs(rows: readonly Readonly<Record<string, unknown>>[]): Qdisc[] {
  return rows.map((row) => ({
    kind: String(row['kind']),
    handle: String(row['handle']),
    isRoot: row['root'] === true,
  }));
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** "787516Kbit" */
function bytesPerSecOf(text: string | undefined): number {
  const [, digits, unit = ''] = /^([\d.]+)([KMGT]?)bit$/.exec(text ?? '') ?? [];
  return digits === undefined ? 0 : (Number(digits) * (UNITS[unit] ?? 1)) / 8;
}

/** "12Kb": of bytes tc counts in 1024s. */
function bytesOf(text: string | undefined): number {
  const [, digits, unit = ''] = /^([\d.]+)([KMG]?)b$/.exec(text ?? '') ?? [];
  const factor = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[unit] ?? 1;
  return digits === undefined ? 0 : Number(digits) * factor;
}

/** What `class show` says of HTB's classes: iproute2 has no JSON for them. */
export function readClasses(text: string): ClassStats[] {
  return text
    .split(/^(?=class )/m)
    .filter((part) => part.startsWith('class htb '))
    .map((part) => {
      const word = (pattern: RegExp): string | undefined => pattern.exec(part)?.[1];
      const count = (pattern: RegExp): number => Number(word(pattern) ?? 0);
      return {
        id: word(/^class htb (\S+)/) ?? '',
        rateBytesPerSec: bytesPerSecOf(word(/ rate (\S+)/)),
        ceilBytesPerSec: bytesPerSecOf(word(/ ceil (\S+)/)),
        priority: count(/ prio (\d+)/),
        sentBytes: count(/Sent (\d+) bytes/),
        sentPackets: count(/bytes (\d+) pkt/),
        drops: count(/dropped (\d+)/),
        backlogBytes: bytesOf(word(/backlog (\S+)/)),
      };
    });
}

/** Minor numbers of ours in somebody else's tree: far from those that people choose. */
const FOREIGN_ROOT_MINOR = 0x5a00;

/** @throws TcTakenError where somebody else's tree leaves no room, with what it is */
export function findAnchor(device: string, qdiscs: readonly Qdisc[], classes: readonly ClassStats[]): Anchor {
  const root = qdiscs.find(({ isRoot }) => isRoot);
  if (root === undefined || root.handle === '0:') return OUR_ANCHOR;
  const major = parseInt(root.handle, 16);
  if (root.kind === 'htb' && major !== OUR_ANCHOR.major) {
    const taken = new Set(classes.map(({ id }) => parseInt(id.split(':')[1] ?? '', 16)));
    const isFree = Array.from({ length: MAX_CLASSES + 1 }, (_, i) => FOREIGN_ROOT_MINOR + i).every(
      (minor) => !taken.has(minor),
    );
    if (isFree) return { major, rootMinor: FOREIGN_ROOT_MINOR, isOurs: false };
  }
  const whose = major === OUR_ANCHOR.major ? 'left by another controller' : "an administrator's";
  throw new TcTakenError(`${device} is shaped already: ${root.kind} ${root.handle}, ${whose}`, {
    remedy:
      major === OUR_ANCHOR.major
        ? 'slackwater restore takes it away where its controller is gone'
        : 'take it away, make it an HTB, or go on without shaping: QEMU limits its bandwidth itself',
  });
}
