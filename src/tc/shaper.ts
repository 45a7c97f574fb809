// SPDX-License-Identifier: Apache-2.0
// One direction of one NIC, shaped: built, proven, changed while traffic flows, taken away. Every change is read back; what was
// there before is there again afterwards.

import { messageOf } from '../common/index.ts';
import type { Match } from './classifier.ts';
import { TcError, TcTakenError } from './errors.ts';
import { checkReceiving, ifbOf, leadThroughIfb } from './ifb.ts';
import { type ClassStats, findAnchor, readClasses, readQdiscs } from './inspect.ts';
import type { Place } from './place.ts';
import { type PortPair, proofOf, type ProofPath, sendDatagrams } from './prove.ts';
import { TcSession } from './session.ts';
import {
  type Anchor,
  buildLines,
  changeLine,
  checkPlan,
  classId,
  filterLines,
  kernelRate,
  minorOf,
  type NicPlan,
  OUR_ANCHOR,
  type ShapedClass,
} from './tree.ts';
import { type NicUndo, removeShaping } from './undo.ts';

/** What the NIC sends, or what it receives (through an IFB device then). */
export type Direction = 'send' | 'receive';

export interface NicShaperOptions {
  readonly place: Place;
  readonly direction: Direction;
  readonly plan: NicPlan;
  /** Whether the whole NIC has to be ours: beside somebody's classes ours cannot promise anything to what is in theirs. */
  readonly whole: boolean;
  /** Called before anything is changed; must have it on file when it returns. */
  readonly onIntent: (undo: NicUndo) => void;
  /** How datagrams can be sent through this NIC, to prove the classifiers of ports; null: they are taken at their word. */
  readonly proof: ProofPath | null;
}

/** What of a class is to be otherwise. */
export type ClassChange = Pick<ShapedClass, 'name'> &
  Partial<Pick<ShapedClass, 'rateBytesPerSec' | 'ceilBytesPerSec' | 'priority'>>;

export interface NamedStats extends ClassStats {
  readonly name: string;
}

/** Rates are counted in whole units of the kernel's clock: read back they may differ by so much. */
const RATE_TOLERANCE = 0.01;
const PROOF_DATAGRAMS = 3;

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
    const { plan, place, direction } = options;
    checkPlan(plan);
    const session = TcSession.open(place);
    try {
      const { qdiscs, classText } = await session.run([], plan.device);
      if (direction === 'receive') await checkReceiving(session, plan.device);
      const anchor =
        direction === 'receive'
          ? OUR_ANCHOR
          : findAnchor(plan.device, readQdiscs(qdiscs), readClasses(classText));
      if (options.whole && !anchor.isOurs) {
        throw new TcTakenError(`${plan.device} is shaped already: an administrator's HTB`, {
          remedy: 'floors cannot be promised beside it: take it away, or go on without shaping',
        });
      }
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

  /** The plan as it is built: where the NIC receives, on its IFB device. */
  get #tree(): NicPlan {
    const { device } = this.#plan;
    return { ...this.#plan, device: this.#options.direction === 'send' ? device : ifbOf(device) };
  }

  get #undo(): NicUndo {
    const { place, direction } = this.#options;
    const { device, classes } = this.#plan;
    return {
      place,
      direction,
      device,
      anchor: this.#anchor,
      classCount: classes.length,
      filtered: classes.flatMap(({ matches }, i) => (matches.length > 0 ? [i] : [])),
    };
  }

  async #build(): Promise<void> {
    const { place, direction, proof } = this.#options;
    this.#options.onIntent(this.#undo);
    try {
      if (direction === 'receive') await leadThroughIfb(place, this.#session, this.#plan.device);
      const { classText } = await this.#session.run(buildLines(this.#tree, this.#anchor), this.#tree.device);
      this.#isBuilt = true;
      for (const each of this.#plan.classes) this.#checkReadBack(readClasses(classText), each);
      if (proof !== null) await this.#prove(proof);
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
  async #prove(path: ProofPath): Promise<void> {
    const { classes, device } = this.#plan;
    for (const each of classes) {
      for (const match of each.matches) {
        if (match.kind === 'mac') continue;
        const { probe, decoy } = proofOf(
          match,
          classes.flatMap((other) => other.matches),
        );
        const counted = async (datagram: PortPair): Promise<number> => {
          const before = await this.#sentPackets(each.name);
          await sendDatagrams(path, datagram, PROOF_DATAGRAMS);
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
    const found = readClasses((await this.#session.run([], this.#tree.device)).classText);
    return this.#plan.classes.flatMap(({ name }) => {
      const id = this.#idOf(name);
      const stats = found.find((each) => each.id === id);
      return stats === undefined ? [] : [{ ...stats, name }];
    });
  }

  /**
   * One more kind of frame for a class. It is not proven, for its traffic may flow already: whether it works shows in the class's
   * own counters. @throws UsageError, TcError
   */
  async addMatch(name: string, match: Match): Promise<void> {
    this.#idOf(name);
    const index = this.#plan.classes.findIndex((each) => each.name === name);
    const lines = filterLines(this.#tree, this.#anchor, index, [match]);
    this.#plan = {
      ...this.#plan,
      classes: this.#plan.classes.map((each, i) =>
        i === index ? { ...each, matches: [...each.matches, match] } : each,
      ),
    };
    this.#options.onIntent(this.#undo);
    await this.#session.run(lines, this.#tree.device);
  }

  /** Other rates for some classes, all of them checked together first; nothing queued is lost. @throws UsageError, TcError */
  async change(changes: readonly ClassChange[]): Promise<void> {
    const classes = this.#plan.classes.map((each) => ({
      ...each,
      ...changes.find(({ name }) => name === each.name),
    }));
    const plan = { ...this.#plan, classes };
    checkPlan(plan);
    const tree = { ...this.#tree, classes };
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
        return each === undefined ? [] : [changeLine(tree, this.#anchor, i, each)];
      });
    const answer = readClasses((await this.#session.run(lines, tree.device)).classText);
    this.#plan = plan;
    for (const i of changed) {
      const each = classes[i];
      if (each !== undefined) this.#checkReadBack(answer, each);
    }
  }

  /** Takes everything away again. @throws TcError */
  async close(): Promise<void> {
    try {
      if (!this.#isBuilt) return;
      this.#isBuilt = false;
      await removeShaping(this.#session, this.#undo);
    } catch (error) {
      throw new TcError(`${this.#plan.device} could not be put back: ${messageOf(error)}`, { cause: error });
    } finally {
      await this.#session.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
