// SPDX-License-Identifier: Apache-2.0
// The resource tracker: what the NIC's and nftables' counters became since they were last read, as rates on the wire. The
// fold is pure; the tracker around it reads the counters.

import type { Clock } from '../common/index.ts';
import type { HostTraffic, TrafficRates } from '../model/index.ts';
import {
  type CounterPlan,
  type Counts,
  type CountersUndo,
  NicCounters,
  type Place,
  TrafficCounters,
  type VmCount,
  wireBytesOfFrames,
  wireBytesOfPackets,
} from '../tc/index.ts';

/** All counters of a host at one moment. */
export interface TrafficReading {
  readonly atMs: number;
  readonly nic: VmCount;
  readonly counts: Counts;
}

export interface TrafficState {
  readonly last: TrafficReading | null;
  readonly smoothed: HostTraffic | null;
  /** Newest last; what a forecast of the traffic is made of. */
  readonly history: readonly HostTraffic[];
}

export const NO_TRAFFIC: TrafficState = { last: null, smoothed: null, history: [] };

/** A step of the load is followed to 95 % within three of these. */
const SMOOTHING_MS = 300;
const HISTORY_LENGTH = 120;

type Convert = (count: { readonly bytes: number; readonly packets: number }) => number;

/** Null where a counter went back: somebody has reset it. */
function ratesBetween(before: VmCount, now: VmCount, passedMs: number, wire: Convert): TrafficRates | null {
  const rate = (a: VmCount['sent'], b: VmCount['sent']): number => {
    const grown = { bytes: b.bytes - a.bytes, packets: b.packets - a.packets };
    return grown.bytes < 0 || grown.packets < 0 ? Number.NaN : (wire(grown) / passedMs) * 1000;
  };
  const sentBytesPerSec = rate(before.sent, now.sent);
  const receivedBytesPerSec = rate(before.received, now.received);
  return Number.isNaN(sentBytesPerSec + receivedBytesPerSec)
    ? null
    : { sentBytesPerSec, receivedBytesPerSec };
}

const NONE: TrafficRates = { sentBytesPerSec: 0, receivedBytesPerSec: 0 };

function less(a: TrafficRates, b: TrafficRates): TrafficRates {
  return {
    sentBytesPerSec: Math.max(0, a.sentBytesPerSec - b.sentBytesPerSec),
    receivedBytesPerSec: Math.max(0, a.receivedBytesPerSec - b.receivedBytesPerSec),
  };
}

function towards(from: TrafficRates, to: TrafficRates, share: number): TrafficRates {
  const mix = (a: number, b: number): number => a + share * (b - a);
  return {
    sentBytesPerSec: mix(from.sentBytesPerSec, to.sentBytesPerSec),
    receivedBytesPerSec: mix(from.receivedBytesPerSec, to.receivedBytesPerSec),
  };
}

/** Since the reading before, not smoothed; null where nothing can be told. */
function trafficBetween(before: TrafficReading, now: TrafficReading): HostTraffic | null {
  const passedMs = now.atMs - before.atMs;
  if (passedMs <= 0) return null;
  const nic = ratesBetween(before.nic, now.nic, passedMs, wireBytesOfFrames);
  const migration = ratesBetween(before.counts.migration, now.counts.migration, passedMs, wireBytesOfPackets);
  if (nic === null || migration === null) return null;
  const vms = [...now.counts.vms].map(([name, count]) => {
    const was = before.counts.vms.get(name);
    const rates = was === undefined ? null : ratesBetween(was, count, passedMs, wireBytesOfPackets);
    return { name, ...(rates ?? NONE) };
  });
  return { atMs: now.atMs, nic, migration, workload: less(nic, migration), vms };
}

/** Folds a reading in. Counters that went back or a clock that did begin anew. */
export function foldTraffic(state: TrafficState, reading: TrafficReading): TrafficState {
  const seen = state.last === null ? null : trafficBetween(state.last, reading);
  if (seen === null) return { ...state, last: reading };
  const { smoothed, last } = state;
  const passedMs = reading.atMs - (last?.atMs ?? reading.atMs);
  const share = smoothed === null ? 1 : 1 - Math.exp(-passedMs / SMOOTHING_MS);
  const was = smoothed ?? seen;
  const next: HostTraffic = {
    atMs: seen.atMs,
    nic: towards(was.nic, seen.nic, share),
    migration: towards(was.migration, seen.migration, share),
    workload: towards(was.workload, seen.workload, share),
    vms: seen.vms.map((vm) => {
      const before = was.vms.find(({ name }) => name === vm.name) ?? vm;
      return { name: vm.name, ...towards(before, vm, share) };
    }),
  };
  return { last: reading, smoothed: next, history: [...state.history, seen].slice(-HISTORY_LENGTH) };
}

/** Watches one host's NIC. */
export class TrafficTracker implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #nic: NicCounters;
  readonly #counters: TrafficCounters;
  #state: TrafficState = NO_TRAFFIC;

  private constructor(clock: Clock, place: Place, device: string, counters: TrafficCounters) {
    this.#clock = clock;
    this.#nic = new NicCounters(place, device);
    this.#counters = counters;
  }

  /** @throws UsageError, TcError, TcTakenError */
  static async open(
    clock: Clock,
    place: Place,
    plan: CounterPlan,
    onIntent: (undo: CountersUndo) => void,
  ): Promise<TrafficTracker> {
    const counters = await TrafficCounters.open(place, plan, onIntent);
    return new TrafficTracker(clock, place, plan.device, counters);
  }

  /** Everything since the sample before; null at the first. @throws TcError */
  async sample(): Promise<HostTraffic | null> {
    const [nic, counts] = await Promise.all([this.#nic.read(), this.#counters.read()]);
    this.#state = foldTraffic(this.#state, { atMs: this.#clock.nowMs(), nic, counts });
    return this.#state.smoothed;
  }

  get history(): readonly HostTraffic[] {
    return this.#state.history;
  }

  async close(): Promise<void> {
    await this.#nic.close();
    await this.#counters.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
