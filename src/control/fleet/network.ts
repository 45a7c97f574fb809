// SPDX-License-Identifier: Apache-2.0
// The hosts' NICs in our hands: who uses them is counted, what they carry is shaped, and all of it is in a journal that
// outlives us. Migrations leave the source and enter the destination: these two directions are shaped.

import {
  type Guardian,
  journalDirectory,
  NetworkJournal,
  startGuardian,
  undoNetwork,
} from '../../act/index.ts';
import { type Clock, messageOf, SlackwaterError } from '../../common/index.ts';
import type { Share, Shares } from '../../decide/index.ts';
import type { HostTraffic } from '../../model/index.ts';
import { TrafficTracker } from '../../observe/index.ts';
import {
  type ClassChange,
  connectionsTo,
  type Direction,
  NicShaper,
  type Place,
  type ProofPath,
  TcTakenError,
  TcUnsupportedError,
} from '../../tc/index.ts';
import { type GangHost, type GangPlanFile, portOf, SHAPED_RATIO } from './plan.ts';

export interface NetworkDeps {
  readonly clock: Clock;
  /** The slackwater program's own file, for the guardian; null: no guardian. */
  readonly program: string | null;
  readonly directory?: string;
  readonly note: (text: string) => void;
}

/** Of both ends; null before the second sample. */
export interface NetworkTraffic {
  readonly source: HostTraffic | null;
  readonly destination: HostTraffic | null;
}

/** 20 ms of the link may wait in a class: enough for a stream, short for who comes after it. */
const QUEUE_MS = 20;
const LEAST_QUEUE_BYTES = 30_000;
/** The least that a class can be promised. */
const IDLE_BYTES_PER_SEC = 1000;
/** Of a change smaller than this nothing is told to the kernel. */
const SAME_RATIO = 0.01;

const REQUESTS = 'requests';
const WORKLOAD = 'workload';

/** Names of classes are of a narrower kind than those of VMs. */
function classOf(index: number): string {
  return `vm${index}`;
}

function isSame(a: Share | undefined, b: Share, ratio: number): boolean {
  if (a === undefined) return false;
  const near = (x: number, y: number): boolean => Math.abs(x - y) <= ratio * Math.max(x, y);
  return (
    a.order === b.order &&
    near(a.rateBytesPerSec, b.rateBytesPerSec) &&
    near(a.ceilBytesPerSec, b.ceilBytesPerSec)
  );
}

interface ShapedHost {
  readonly shaper: NicShaper;
  readonly direction: Direction;
  /** What each class has now. */
  readonly inForce: Map<string, Share>;
}

export class GangNetwork implements AsyncDisposable {
  readonly #plan: GangPlanFile;
  readonly #deps: NetworkDeps;
  readonly #journal: NetworkJournal;
  readonly #guardian: Guardian | null;
  #source: TrafficTracker | null = null;
  #destination: TrafficTracker | null = null;
  #shaped: ShapedHost[] = [];
  /** VMs whose streams have a class of their own. */
  readonly #streams = new Set<string>();
  /** Ends whose traffic cannot be told. */
  readonly #mute = new Set<string>();

  private constructor(plan: GangPlanFile, deps: NetworkDeps) {
    this.#plan = plan;
    this.#deps = deps;
    const directory = deps.directory ?? journalDirectory();
    // The guardian first, as for a guest's journal.
    this.#guardian =
      deps.program === null ? null : startGuardian(deps.program, NetworkJournal.pathOf(directory));
    try {
      this.#journal = NetworkJournal.create(directory);
    } catch (error) {
      void this.#guardian?.dismiss();
      throw error;
    }
  }

  /**
   * Counts at both ends, and shapes both where the plan wants it and the kernels can; that they cannot is said.
   * @throws SlackwaterError with everything taken back
   */
  static async open(plan: GangPlanFile, initial: Shares, deps: NetworkDeps): Promise<GangNetwork> {
    const network = new GangNetwork(plan, deps);
    try {
      await network.#count();
      if (plan.shaping) await network.#shape(initial);
      return network;
    } catch (error) {
      await network.close();
      throw error;
    }
  }

  get isShaped(): boolean {
    return this.#shaped.length > 0;
  }

  #ports(): number[] {
    return [...new Set(this.#plan.members.flatMap(({ uri }) => portOf(uri) ?? []))];
  }

  async #count(): Promise<void> {
    const { source, destination, members } = this.#plan;
    const ports = this.#ports();
    const vms = members.flatMap(({ name, tap }) => (tap === null ? [] : [{ name, tap }]));
    const open = (host: GangHost, counted: typeof vms): Promise<TrafficTracker> =>
      TrafficTracker.open(
        this.#deps.clock,
        host.place,
        { device: host.nic, vms: counted, ports },
        (counters) => this.#journal.add({ kind: 'counters', counters }),
      );
    this.#source = await open(source, vms);
    this.#destination = await open(destination, []);
  }

  async #shape(initial: Shares): Promise<void> {
    const { source, destination } = this.#plan;
    try {
      await this.#shapeHost(source, 'send', initial, proofPath(source.place, destination));
      await this.#shapeHost(destination, 'receive', initial, proofPath(source.place, destination));
    } catch (error) {
      const isLack = error instanceof TcUnsupportedError || error instanceof TcTakenError;
      if (!isLack) throw error;
      await this.stopShaping(error.message);
    }
  }

  /** Goes on without: QEMU's own limits do what they can. */
  async stopShaping(why: string): Promise<void> {
    const shaped = this.#shaped;
    this.#shaped = [];
    // What cannot be taken away now is in the journal, and tried again at the end.
    for (const { shaper } of shaped) await shaper.close().catch(() => undefined);
    this.#deps.note(
      `NICs are not shaped: ${why}. QEMU's own bandwidth limits are used instead: floors are kept less exactly`,
    );
  }

  async #shapeHost(
    host: GangHost,
    direction: Direction,
    shares: Shares,
    proof: ProofPath | null,
  ): Promise<void> {
    const queueBytes = Math.max(LEAST_QUEUE_BYTES, Math.round((host.linkBytesPerSec * QUEUE_MS) / 1000));
    const inForce = this.#byClass(shares);
    // Everything to a migration's port that is not a stream which we know is answers to page requests, and comes first.
    const toPorts = this.#ports().map((port) => ({ kind: 'port', side: 'destination', port }) as const);
    const classes = [...inForce].map(([name, share]) => ({
      name,
      rateBytesPerSec: share.rateBytesPerSec,
      ceilBytesPerSec: share.ceilBytesPerSec,
      priority: share.order,
      queueBytes,
      matches: name === REQUESTS ? toPorts : [],
    }));
    const shaper = await NicShaper.open({
      place: host.place,
      direction,
      plan: { device: host.nic, linkBytesPerSec: SHAPED_RATIO * host.linkBytesPerSec, classes },
      whole: true,
      onIntent: (nic) => this.#journal.add({ kind: 'nic', nic }),
      proof,
    });
    this.#shaped.push({ shaper, direction, inForce });
  }

  /** What went over both NICs since the last call; what cannot be read any more is said once, and null. */
  async sample(): Promise<NetworkTraffic> {
    const read = async (tracker: TrafficTracker | null, end: string): Promise<HostTraffic | null> => {
      try {
        return (await tracker?.sample()) ?? null;
      } catch (error) {
        if (!this.#mute.has(end))
          this.#deps.note(`traffic of the ${end} is not known any more: ${messageOf(error)}`);
        this.#mute.add(end);
        return null;
      }
    };
    const [source, destination] = await Promise.all([
      read(this.#source, 'source'),
      read(this.#destination, 'destination'),
    ]);
    return { source, destination };
  }

  /** Traffic of the source's NIC, newest last. */
  get history(): readonly HostTraffic[] {
    return this.#source?.history ?? [];
  }

  /** Gives the connections of a VM that has begun to migrate its own class, apart from what comes to be later: page requests. */
  async classifyStream(name: string): Promise<void> {
    const index = this.#plan.members.findIndex((member) => member.name === name);
    const port = portOf(this.#plan.members[index]?.uri ?? '');
    if (index === -1 || port === null || !this.isShaped || this.#streams.has(name)) return;
    const locals = await connectionsTo(this.#plan.source.place, port);
    if (locals.length === 0) return;
    this.#streams.add(name);
    for (const { shaper } of this.#shaped) {
      for (const source of locals) {
        await shaper.addMatch(classOf(index), { kind: 'ports', source, destination: port });
      }
    }
  }

  knowsStream(name: string): boolean {
    return this.#streams.has(name);
  }

  /** A VM that begins anew has a new stream. */
  forgetStream(name: string): void {
    this.#streams.delete(name);
  }

  /** What each class is to have, in the order of the classes: streams before what else goes to their ports, the rest last. */
  #byClass({ migrations, requests, workload }: Shares): Map<string, Share> {
    const idleCount = this.#plan.members.filter(({ name }) => !migrations.has(name)).length;
    // A class cannot have nothing; what those that do not migrate have is taken from the requests' promise.
    const idle: Share = { ...requests, rateBytesPerSec: IDLE_BYTES_PER_SEC };
    const left = requests.rateBytesPerSec - idleCount * IDLE_BYTES_PER_SEC;
    return new Map<string, Share>([
      ...this.#plan.members.map(({ name }, i) => [classOf(i), migrations.get(name) ?? idle] as const),
      [REQUESTS, { ...requests, rateBytesPerSec: Math.max(IDLE_BYTES_PER_SEC, left) }],
      [WORKLOAD, workload],
    ]);
  }

  /** Changes what the classes have, where it differs. @throws TcError */
  async apply(shares: Shares): Promise<void> {
    const wanted = this.#byClass(shares);
    for (const { shaper, inForce } of this.#shaped) {
      // Where anything is worth a change all are changed that differ: old and new promises together may be more than there is.
      if ([...wanted].every(([name, share]) => isSame(inForce.get(name), share, SAME_RATIO))) continue;
      const changes = [...wanted].flatMap(([name, share]): ClassChange[] =>
        isSame(inForce.get(name), share, 0)
          ? []
          : [
              {
                name,
                rateBytesPerSec: share.rateBytesPerSec,
                ceilBytesPerSec: share.ceilBytesPerSec,
                priority: share.order,
              },
            ],
      );
      await shaper.change(changes);
      for (const { name } of changes) {
        const share = wanted.get(name);
        if (share !== undefined) inForce.set(name, share);
      }
    }
  }

  /** Takes everything away again; what could not be stays with the guardian. Returns that, in words. */
  async close(): Promise<string[]> {
    const closing = [...this.#shaped.map(({ shaper }) => shaper), this.#source, this.#destination];
    this.#shaped = [];
    for (const each of closing) {
      try {
        await each?.close();
      } catch (error) {
        this.#deps.note(error instanceof SlackwaterError ? error.message : messageOf(error));
      }
    }
    const { pending } = await undoNetwork(this.#journal);
    this.#journal.close();
    if (pending.length === 0) await this.#guardian?.dismiss();
    else this.#guardian?.release();
    return pending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** From the source to the destination's address: through the one NIC as it sends, through the other as it receives. */
function proofPath(from: Place, { address }: GangHost): ProofPath | null {
  return address === null ? null : { from, address };
}
