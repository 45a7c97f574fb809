// SPDX-License-Identifier: Apache-2.0
// The classes of a NIC as values, and the tc commands that make them so. HTB throughout: a class has what it is promised and
// may borrow up to its ceiling; of what is free the lower priority numbers get first. Changing a rate changes nothing else.

import { UsageError } from '../common/index.ts';
import { type Match, programsOf } from './classifier.ts';
import { checkDevice, checkRate } from './names.ts';

export interface ShapedClass {
  /** Of a-z, 0-9 and -, unique on the NIC. */
  readonly name: string;
  /** Promised, on the wire. */
  readonly rateBytesPerSec: number;
  /** At most, on the wire. */
  readonly ceilBytesPerSec: number;
  /** 0 to 7; who may borrow first. */
  readonly priority: number;
  /** What may wait, in bytes; short, so that what is urgent does not wait behind it. */
  readonly queueBytes: number;
  /** A frame belongs to the first class with a match for it; to the last class where there is none. */
  readonly matches: readonly Match[];
}

export interface NicPlan {
  readonly device: string;
  /** What the NIC's link carries, on the wire. */
  readonly linkBytesPerSec: number;
  /** The last one takes what no other matches. */
  readonly classes: readonly ShapedClass[];
}

/** Where the classes hang: a tree of our own, or a free place in that of somebody else. */
export interface Anchor {
  /** Major number of the HTB. */
  readonly major: number;
  /** Minor number of our own root class; those of the classes follow it. */
  readonly rootMinor: number;
  readonly isOurs: boolean;
}

/** Ours, by a number that nobody would choose by hand. */
export const OUR_ANCHOR: Anchor = { major: 0x5a1, rootMinor: 1, isOurs: true };

// The kernel counts a frame without preamble, checksum and gap: 1514 of the 1538 bytes that a full one takes on the wire.
const KERNEL_RATIO = 1514 / 1538;
// A quarter of a millisecond of rate: with less, timers that fire late cost throughput; with more, others wait longer.
const BURST_MS = 0.25;
const LEAST_BURST_BYTES = 1600;
/** HTB hands out turns of that size; given, tc does not warn. */
const QUANTUM_BYTES = 60_000;
export const MAX_CLASSES = 64;
/** Far from those that people choose: in somebody else's tree all filters of a priority are taken away together. */
const FIRST_FILTER_PRIORITY = 0x5a00;

function hex(value: number): string {
  return value.toString(16);
}

export function classId({ major }: Anchor, minor: number): string {
  return `${hex(major)}:${hex(minor)}`;
}

/** The place of a class in the plan, as a minor number. */
export function minorOf(anchor: Anchor, index: number): number {
  return anchor.rootMinor + 1 + index;
}

/** What HTB is to count for a rate on the wire. */
export function kernelRate(bytesPerSec: number): number {
  return Math.round(bytesPerSec * KERNEL_RATIO);
}

function rateWords(rateBytesPerSec: number, ceilBytesPerSec: number): string {
  const words = (name: string, burstName: string, bytesPerSec: number): string => {
    const rate = kernelRate(bytesPerSec);
    const burst = Math.max(LEAST_BURST_BYTES, Math.round((rate * BURST_MS) / 1000));
    // `bps` is bytes per second to tc.
    return `${name} ${rate}bps ${burstName} ${burst}`;
  };
  return `${words('rate', 'burst', rateBytesPerSec)} ${words('ceil', 'cburst', ceilBytesPerSec)}`;
}

/** @throws UsageError: all that is wrong with a plan, before anything is changed */
export function checkPlan(plan: NicPlan): void {
  checkDevice(plan.device);
  checkRate(plan.linkBytesPerSec, `link of ${plan.device}`);
  const { classes, linkBytesPerSec } = plan;
  if (classes.length < 1 || classes.length > MAX_CLASSES) {
    throw new UsageError(`expected 1 to ${MAX_CLASSES} classes on ${plan.device}, got ${classes.length}`);
  }
  const names = new Set<string>();
  for (const { name, rateBytesPerSec, ceilBytesPerSec, priority, queueBytes, matches } of classes) {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(name) || names.has(name)) {
      throw new UsageError(`expected names of classes of a-z, 0-9 and "-", each once, got "${name}"`);
    }
    names.add(name);
    checkRate(rateBytesPerSec, `rate of ${name}`);
    checkRate(ceilBytesPerSec, `ceiling of ${name}`);
    if (ceilBytesPerSec < rateBytesPerSec || ceilBytesPerSec > linkBytesPerSec) {
      throw new UsageError(
        `ceiling of ${name}: expected no less than its rate (${rateBytesPerSec} B/s) and no more than the link ` +
          `(${linkBytesPerSec} B/s), got ${ceilBytesPerSec} B/s`,
      );
    }
    if (!Number.isInteger(priority) || priority < 0 || priority > 7) {
      throw new UsageError(`priority of ${name}: expected 0 to 7, got ${priority}`);
    }
    if (!Number.isInteger(queueBytes) || queueBytes < 3000 || queueBytes > 1e9) {
      throw new UsageError(`queue of ${name}: expected 3000 bytes to 1 GB, got ${queueBytes}`);
    }
    matches.forEach(programsOf);
  }
  const promised = classes.reduce((sum, { rateBytesPerSec }) => sum + rateBytesPerSec, 0);
  if (promised > linkBytesPerSec * 1.000_001) {
    throw new UsageError(
      `expected floors of at most the link's ${linkBytesPerSec} B/s on ${plan.device}, got ${promised} B/s in all`,
      { remedy: 'lower the floors, or say what the link really carries' },
    );
  }
}

/** `tc -batch` lines that build the tree; a tree of our own is one qdisc, and gone with it. */
export function buildLines({ device, linkBytesPerSec, classes }: NicPlan, anchor: Anchor): string[] {
  const handle = `${hex(anchor.major)}:`;
  const last = minorOf(anchor, classes.length - 1);
  const root = classId(anchor, anchor.rootMinor);
  return [
    ...(anchor.isOurs ? [`qdisc add dev ${device} root handle ${handle} htb default ${hex(last)}`] : []),
    `class add dev ${device} parent ${handle} classid ${root} htb ${rateWords(linkBytesPerSec, linkBytesPerSec)} quantum ${QUANTUM_BYTES}`,
    ...classes.flatMap((each, i) => {
      const id = classId(anchor, minorOf(anchor, i));
      return [
        `class add dev ${device} parent ${root} classid ${id} htb ${classWords(each)}`,
        `qdisc add dev ${device} parent ${id} handle ${hex(queueMajor(anchor, i))}: bfifo limit ${each.queueBytes}`,
        ...filterLines({ device }, anchor, i, each.matches),
      ];
    }),
  ];
}

/** Lines that give a class the frames of some matches, beside those that it has. */
export function filterLines(
  { device }: Pick<NicPlan, 'device'>,
  anchor: Anchor,
  index: number,
  matches: readonly Match[],
): string[] {
  const id = classId(anchor, minorOf(anchor, index));
  const add = `filter add dev ${device} parent ${hex(anchor.major)}: protocol all prio ${filterPriority(index)}`;
  return matches.flatMap(programsOf).map((bytecode) => `${add} bpf bytecode "${bytecode}" flowid ${id}`);
}

/** Filters are asked in the order of the classes. */
function filterPriority(index: number): number {
  return FIRST_FILTER_PRIORITY + index;
}

/** Numbers of the queues: beside the tree's own, one for each class. */
function queueMajor({ major }: Anchor, index: number): number {
  return ((major + 0x10) & 0xff0) * 0x10 + index;
}

function classWords({ rateBytesPerSec, ceilBytesPerSec, priority }: ShapedClass): string {
  return `${rateWords(rateBytesPerSec, ceilBytesPerSec)} prio ${priority} quantum ${QUANTUM_BYTES}`;
}

/** One line: the class gets other rates, while what is queued stays queued. */
export function changeLine({ device }: NicPlan, anchor: Anchor, index: number, changed: ShapedClass): string {
  const root = classId(anchor, anchor.rootMinor);
  const id = classId(anchor, minorOf(anchor, index));
  return `class change dev ${device} parent ${root} classid ${id} htb ${classWords(changed)}`;
}

/** Takes the tree away; beside somebody else's only what is ours, filters first. */
export function removeLines({ device, classes }: NicPlan, anchor: Anchor): string[] {
  if (anchor.isOurs) return [`qdisc del dev ${device} root`];
  const handle = `${hex(anchor.major)}:`;
  const withFilters = classes.flatMap(({ matches }, i) => (matches.length > 0 ? [i] : []));
  return [
    ...withFilters.map((i) => `filter del dev ${device} parent ${handle} prio ${filterPriority(i)}`),
    ...classes.map((_, i) => `class del dev ${device} classid ${classId(anchor, minorOf(anchor, i))}`),
    `class del dev ${device} classid ${classId(anchor, anchor.rootMinor)}`,
  ];
}
