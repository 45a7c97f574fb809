// SPDX-License-Identifier: Apache-2.0
// One NIC, shaped: built, proven, changed while traffic flows, taken away. Every change is read back; what was there before
// is there again afterwards.

import { messageOf } from '../common/index.ts';
import type { Match } from './classifier.ts';
import { TcError } from './errors.ts';
import { type ClassStats, findAnchor, readClasses, readQdiscs } from './inspect.ts';
import { sendDatagrams } from './prove.ts';
import { TcSession } from './session.ts';
import {
  type Anchor,
  buildLines,
  changeLine,
  checkPlan,
  classId,
  kernelRate,
  minorOf,
  type NicPlan,
  removeLines,
  type ShapedClass,
} from './tree.ts';

/** What is to be undone, to be written down before it is done: enough for another process to undo it. */
export interface NicUndo {
  readonly namespace: string | null;
  readonly device: string;
  readonly anchor: Anchor;
  readonly classCount: number;
  /** Places of the classes that have filters. */
  readonly filtered: readonly number[];
}

export interface NicShaperOptions {
  /** Null: that of this process. */
  readonly namespace: string | null;
  readonly plan: NicPlan;
  /** Called before anything is changed; must have it on file when it returns. */
  readonly onIntent: (undo: NicUndo) => void;
  /** Where a datagram can be sent through this NIC, to prove the classifiers of ports; null: they are taken at their word. */
  readonly provenBy: string | null;
}

export interface NamedStats extends ClassStats {
  readonly name: string;
}

/** Rates are counted in whole units of the kernel's clock: read back they may differ by so much. */
const RATE_TOLERANCE = 0.01;
const PROOF_DATAGRAMS = 3;

/** Where nobody listens, by convention. */
const DISCARD_PORT = 9;

/** Destination, and source (0: any). */
interface PortPair {
  readonly port: number;
  readonly from: number;
}

/** A datagram that a match is about, and one that differs from it in just that. */
function proofOf(match: Exclude<Match, { kind: 'mac' }>): {
  readonly probe: PortPair;
  readonly decoy: PortPair;
} {
  const beside = (port: number): number => (port === 65_535 ? port - 1 : port + 1);
  if (match.kind === 'port' && match.side === 'source') {
    const probe = { port: DISCARD_PORT, from: match.port };
    return { probe, decoy: { ...probe, from: beside(match.port) } };
  }
  const probe =
    match.kind === 'ports' ? { port: match.destination, from: match.source } : { port: match.port, from: 0 };
  return { probe, decoy: { ...probe, port: beside(probe.port) } };
}

export class NicShaper implements AsyncDisposable {
  readonly #session: TcSession;
  readonly #options: NicShaperOptions;
  readonly #anchor: Anchor;
  #plan: NicPlan;
  #isBuilt = false;

  private constructor(session: TcSession, options: NicShaperOptions, anchor: Anchor) {
    this.#session = session;
    this.#options = options;
    this.#anchor = anchor;
    this.#plan = options.plan;
  }

  /**
   * Builds and proves the tree.
   * @throws UsageError, TcTakenError before anything was changed; TcUnsupportedError, TcError with all taken back
   */
  static async open(options: NicShaperOptions): Promise<NicShaper> {
    const { plan, namespace } = options;
    checkPlan(plan);
    const session = TcSession.open(namespace);
    try {
      const { qdiscs, classText } = await session.run([], plan.device);
      const anchor = findAnchor(plan.device, readQdiscs(qdiscs), readClasses(classText));
      const shaper = new NicShaper(session, options, anchor);
      await shaper.#build();
      return shaper;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  get plan(): NicPlan {
    return this.#plan;
  }

  async #build(): Promise<void> {
    const { device, classes } = this.#plan;
    this.#options.onIntent({
      namespace: this.#options.namespace,
      device,
      anchor: this.#anchor,
      classCount: classes.length,
      filtered: classes.flatMap(({ matches }, i) => (matches.length > 0 ? [i] : [])),
    });
    try {
      const { classText } = await this.#session.run(buildLines(this.#plan, this.#anchor), device);
      this.#isBuilt = true;
      for (const each of classes) this.#checkReadBack(readClasses(classText), each);
      if (this.#options.provenBy !== null) await this.#prove(this.#options.provenBy);
    } catch (error) {
      this.#isBuilt = true;
      await this.close().catch(() => undefined);
      throw error;
    }
  }

  #idOf(name: string): string {
    const index = this.#plan.classes.findIndex((each) => each.name === name);
    if (index === -1) throw new TcError(`there is no class ${name} on ${this.#plan.device}`);
    return classId(this.#anchor, minorOf(this.#anchor, index));
  }

  /** What the kernel says it has made of a class has to be what was asked. */
  #checkReadBack(found: readonly ClassStats[], wanted: ShapedClass): void {
    const id = this.#idOf(wanted.name);
    const is = found.find((each) => each.id === id);
    const near = (a: number, b: number): boolean => Math.abs(a - b) <= RATE_TOLERANCE * b;
    const holds =
      is !== undefined &&
      near(is.rateBytesPerSec, kernelRate(wanted.rateBytesPerSec)) &&
      near(is.ceilBytesPerSec, kernelRate(wanted.ceilBytesPerSec)) &&
      is.priority === wanted.priority;
    if (holds) return;
    throw new TcError(
      `class ${wanted.name} on ${this.#plan.device}: wanted ${kernelRate(wanted.rateBytesPerSec)} to ` +
        `${kernelRate(wanted.ceilBytesPerSec)} B/s, read back ${is === undefined ? 'nothing' : `${is.rateBytesPerSec} to ${is.ceilBytesPerSec}`}`,
      { remedy: 'somebody else may be changing this NIC' },
    );
  }

  /** For each class with a port: datagrams to that port are counted by it, those to another are not. */
  async #prove(address: string): Promise<void> {
    const { classes, device } = this.#plan;
    for (const each of classes) {
      for (const match of each.matches) {
        if (match.kind === 'mac') continue;
        const { probe, decoy } = proofOf(match);
        const counted = async (datagram: PortPair): Promise<number> => {
          const before = await this.#sentPackets(each.name);
          const count = PROOF_DATAGRAMS;
          await sendDatagrams(this.#options.namespace, { address, ...datagram, count });
          return (await this.#sentPackets(each.name)) - before;
        };
        const [must, mustNot] = [await counted(probe), await counted(decoy)];
        if (must >= PROOF_DATAGRAMS && mustNot < PROOF_DATAGRAMS) continue;
        throw new TcError(
          `the classifier of ${each.name} on ${device} does not work: of ${PROOF_DATAGRAMS} packets that must match it saw ` +
            `${must}, of ${PROOF_DATAGRAMS} that must not ${mustNot}`,
          { remedy: 'this kernel cannot classify so: go on without shaping' },
        );
      }
    }
  }

  async #sentPackets(name: string): Promise<number> {
    return (await this.stats()).find((each) => each.name === name)?.sentPackets ?? 0;
  }

  /** Counters and rates of all classes, as the kernel has them. @throws TcError */
  async stats(): Promise<NamedStats[]> {
    const found = readClasses((await this.#session.run([], this.#plan.device)).classText);
    return this.#plan.classes.flatMap(({ name }) => {
      const id = this.#idOf(name);
      const stats = found.find((each) => each.id === id);
      return stats === undefined ? [] : [{ ...stats, name }];
    });
  }

  /** Other rates for some classes, all of them checked together first; nothing queued is lost. @throws UsageError, TcError */
  async setRates(
    changes: readonly Pick<ShapedClass, 'name' | 'rateBytesPerSec' | 'ceilBytesPerSec'>[],
  ): Promise<void> {
    const classes = this.#plan.classes.map((each) => ({
      ...each,
      ...changes.find(({ name }) => name === each.name),
    }));
    const plan = { ...this.#plan, classes };
    checkPlan(plan);
    for (const { name } of changes) this.#idOf(name);
    const changed = classes.flatMap((each, i) => (each === this.#plan.classes[i] ? [] : [i]));
    // Lower promises first, or for a moment more would be promised than there is.
    const lines = changed
      .map((i) => ({
        i,
        by: (classes[i]?.rateBytesPerSec ?? 0) - (this.#plan.classes[i]?.rateBytesPerSec ?? 0),
      }))
      .sort((a, b) => a.by - b.by)
      .flatMap(({ i }) => {
        const each = classes[i];
        return each === undefined ? [] : [changeLine(plan, this.#anchor, i, each)];
      });
    const answer = readClasses((await this.#session.run(lines, plan.device)).classText);
    this.#plan = plan;
    for (const i of changed) {
      const each = classes[i];
      if (each !== undefined) this.#checkReadBack(answer, each);
    }
  }

  /** Takes everything away again. @throws TcError */
  async close(): Promise<void> {
    try {
      if (this.#isBuilt) {
        this.#isBuilt = false;
        await this.#session
          .run(removeLines(this.#plan, this.#anchor), this.#plan.device)
          .catch((error: unknown) => {
            throw new TcError(`${this.#plan.device} could not be put back: ${messageOf(error)}`, {
              cause: error,
            });
          });
      }
    } finally {
      await this.#session.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Undoes what another process has built, as it wrote down before; what is not there any more is left at that. */
export async function undoNic({ namespace, device, anchor, classCount, filtered }: NicUndo): Promise<void> {
  const session = TcSession.open(namespace);
  try {
    const { qdiscs, classText } = await session.run([], device);
    const root = readQdiscs(qdiscs).find(({ isRoot }) => isRoot);
    if (root === undefined || parseInt(root.handle, 16) !== anchor.major) return;
    if (anchor.isOurs) {
      await session.run([`qdisc del dev ${device} root`], device);
      return;
    }
    const found = new Set(readClasses(classText).map(({ id }) => id));
    if (!found.has(classId(anchor, anchor.rootMinor))) return;
    const classes = Array.from({ length: classCount }, (_, i) => ({
      ...NO_CLASS,
      matches: filtered.includes(i) ? [{ kind: 'port', side: 'source', port: 1 } as const] : [],
    }));
    await session.run(removeLines({ device, linkBytesPerSec: 0, classes }, anchor), device);
  } finally {
    await session.close();
  }
}

const NO_CLASS = { name: '', rateBytesPerSec: 0, ceilBytesPerSec: 0, priority: 0, queueBytes: 0 };
