// SPDX-License-Identifier: Apache-2.0
// Who uses a NIC: named nftables counters between each VM's TAP device and the NIC, and of the migrations' ports, in a table of
// our own that changes no packet's way. Counted before segmentation (GSO): see wire-bytes.ts.

import { AskedProgram, endsWith } from './asked-program.ts';
import { TcError, TcTakenError } from './errors.ts';
import { checkDevice, checkPort } from './names.ts';
import { type Place, placeExists, placeName } from './place.ts';
import { runAt } from './run.ts';

/** A VM by its TAP device, a port of the same bridge as the NIC. */
export interface CountedVm {
  readonly name: string;
  readonly tap: string;
}

export interface CounterPlan {
  readonly device: string;
  readonly vms: readonly CountedVm[];
  /** Where migrations listen: what this host sends to such a port or receives at it. */
  readonly ports: readonly number[];
}

/** What a counter has seen: bytes, and how many frames or packets. Those of nftables have no Ethernet header: wire-bytes.ts. */
export interface Count {
  readonly bytes: number;
  readonly packets: number;
}

/** Of one VM: `sent` is what it sends out through the NIC. */
export interface VmCount {
  readonly sent: Count;
  readonly received: Count;
}

export interface Counts {
  readonly vms: ReadonlyMap<string, VmCount>;
  /** Of all migrations. */
  readonly migration: VmCount;
}

/** Enough for another process to take the table away. */
export interface CountersUndo {
  readonly place: Place;
  readonly table: string;
}

const NO_COUNT: Count = { bytes: 0, packets: 0 };
/** Of the name of a table: the rest is the NIC's. */
const PREFIX = 'slackwater_';

function tableOf(device: string): string {
  return `${PREFIX}${checkDevice(device).replaceAll(/[.-]/g, '_')}`;
}

/** What nft is to make: names are ours by number, so that no VM's name becomes a word of a command. */
export function counterRules({ device, vms, ports }: CounterPlan): string {
  const nic = checkDevice(device);
  const table = tableOf(nic);
  const counters = (names: readonly string[]): string[] => names.map((name) => `  counter ${name} { }`);
  const forward = vms.flatMap(({ tap }, i) => [
    `    iifname "${checkDevice(tap)}" oifname "${nic}" counter name vm${i}_sent`,
    `    iifname "${nic}" oifname "${tap}" counter name vm${i}_received`,
  ]);
  const list = ports.map(checkPort).join(', ');
  return [
    `table bridge ${table} {`,
    ...counters(vms.flatMap((_, i) => [`vm${i}_sent`, `vm${i}_received`])),
    '  chain forward {',
    '    type filter hook forward priority 0; policy accept;',
    ...forward,
    '  }',
    '}',
    `table inet ${table} {`,
    ...counters(['migration_sent', 'migration_received']),
    // To and from the listening port: the stream one way, requests and acknowledgements the other.
    '  chain output {',
    '    type filter hook output priority 0; policy accept;',
    ...(ports.length === 0
      ? []
      : [
          `    tcp dport { ${list} } counter name migration_sent`,
          `    tcp sport { ${list} } counter name migration_sent`,
        ]),
    '  }',
    '  chain input {',
    '    type filter hook input priority 0; policy accept;',
    ...(ports.length === 0
      ? []
      : [
          `    tcp dport { ${list} } counter name migration_received`,
          `    tcp sport { ${list} } counter name migration_received`,
        ]),
    '  }',
    '}',
    '',
  ].join('\n');
}

interface NftCounter {
  readonly table: string;
  readonly name: string;
  readonly packets: number;
  readonly bytes: number;
}

/** The counters of one table in `nft -j list counters`. */
export function readCounters(json: string, table: string): ReadonlyMap<string, Count> {
  const document = JSON.parse(json) as { readonly nftables?: readonly { readonly counter?: NftCounter }[] };
  return new Map(
    (document.nftables ?? []).flatMap(({ counter }) =>
      counter?.table === table
        ? [[counter.name, { bytes: counter.bytes, packets: counter.packets }] as const]
        : [],
    ),
  );
}

export class TrafficCounters implements AsyncDisposable {
  readonly #place: Place;
  readonly #plan: CounterPlan;
  readonly #table: string;
  #nft: AskedProgram | null = null;

  private constructor(place: Place, plan: CounterPlan) {
    this.#place = place;
    this.#plan = plan;
    this.#table = tableOf(plan.device);
  }

  /**
   * `onIntent` is called before anything is changed, and must have it on file when it returns.
   * @throws UsageError, TcTakenError (another controller counts there), TcError: nothing is left then
   */
  static async open(
    place: Place,
    plan: CounterPlan,
    onIntent: (undo: CountersUndo) => void,
  ): Promise<TrafficCounters> {
    const rules = counterRules(plan);
    const counters = new TrafficCounters(place, plan);
    if ((await tablesAt(place)).some(({ name }) => name === counters.#table)) {
      throw new TcTakenError(
        `the traffic of ${plan.device} is counted already (${placeName(place)}), by another controller`,
        { remedy: 'slackwater restore takes its counters away where that controller is gone' },
      );
    }
    onIntent({ place, table: counters.#table });
    // One transaction: all of it, or nothing.
    await runAt(place, ['nft', '-f', '-'], rules);
    return counters;
  }

  /** All counts since they began. @throws TcError */
  async read(): Promise<Counts> {
    this.#nft ??= AskedProgram.start(this.#place, ['nft', '-j', '-i'], endsWith('\n'));
    const { text } = await this.#nft.ask('list counters');
    const found = readCounters(text, this.#table);
    const count = (name: string): VmCount => ({
      sent: found.get(`${name}_sent`) ?? NO_COUNT,
      received: found.get(`${name}_received`) ?? NO_COUNT,
    });
    if (!found.has('migration_sent')) {
      throw new TcError(`the counters of ${this.#plan.device} are gone`, {
        remedy: 'somebody else has flushed the ruleset',
      });
    }
    const vms = this.#plan.vms.map(({ name }, i) => [name, count(`vm${i}`)] as const);
    return { vms: new Map(vms), migration: count('migration') };
  }

  async close(): Promise<void> {
    await this.#nft?.close();
    this.#nft = null;
    await undoCounters({ place: this.#place, table: this.#table });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

interface NftTable {
  readonly family: string;
  readonly name: string;
}

async function tablesAt(place: Place): Promise<NftTable[]> {
  const json = await runAt(place, ['nft', '-j', 'list', 'tables']);
  const document = JSON.parse(json) as { readonly nftables?: readonly { readonly table?: NftTable }[] };
  return (document.nftables ?? []).flatMap(({ table }) => (table === undefined ? [] : [table]));
}

/** Takes the tables away, as many of them as there are; returns whether there were any. @throws TcError */
export async function undoCounters({ place, table }: CountersUndo): Promise<boolean> {
  if (!placeExists(place)) return false;
  const ours = (await tablesAt(place)).filter(({ name }) => name === table && name.startsWith(PREFIX));
  if (ours.length === 0) return false;
  const lines = ours.map(({ family, name }) => `delete table ${family} ${name}`);
  await runAt(place, ['nft', '-f', '-'], `${lines.join('\n')}\n`);
  return true;
}
