// SPDX-License-Identifier: Apache-2.0
// Many migrations over one link: who begins when, who has how much of it, and how each ends. One VM's failure is its own.

import { type Clock, messageOf, systemClock } from '../../common/index.ts';
import {
  feedBack,
  limitWithoutShaping,
  type ReservedState,
  reserveFor,
  type RunningMigration,
  sharesOf,
  type Shares,
  sharesOfReservation,
  startsNow,
} from '../../decide/index.ts';
import { otherTrafficAhead } from '../../forecast/index.ts';
import type { GangPlan, HostTraffic } from '../../model/index.ts';
import { restoreAbandoned } from '../restore.ts';
import { GangMemberRun } from './member.ts';
import { GangNetwork } from './network.ts';
import { type GangOutcome, gangOutcome } from './outcome.ts';
import { type GangPlanFile, shapedLink } from './plan.ts';
import { checkGang, planGang, STREAM_RATIO, type Watched, watchGang } from './prepare.ts';
import type { GangDeps, PlannedGang } from './types.ts';

const TICK_MS = 100;
/** A stream that is not known yet goes before everybody else: it is looked for often, as long as it is to be expected. */
const STREAM_TICK_MS = 10;
const STREAM_EXPECTED_MS = 500;
const SAMPLE_MS = 1000;
/** So long before the end of the one before a VM is prepared: that takes 2 s where its pages are watched first. */
const PREPARED_BEFORE_MS = 2500;
/** A limit of QEMU's own that differs by less is left as it is. */
const SAME_RATIO = 0.03;
/** So far ahead the link's other traffic matters to a decision. */
const TRAFFIC_HORIZON_MS = 5000;

/** Checks, watches and plans. Changes nothing. @throws RefusedError, TcError */
export async function prepareGang(file: GangPlanFile, deps: GangDeps): Promise<PlannedGang & Watched> {
  await checkGang(file, deps);
  const watched = await watchGang(file, deps);
  const planned = planGang(file, watched);
  deps.reporter.planned(planned);
  return { ...planned, costOf: watched.costOf };
}

/** Migrates all of them. @throws RefusedError, TcError while nothing has been changed yet */
export async function runGang(file: GangPlanFile, deps: GangDeps): Promise<GangOutcome> {
  for (const report of await restoreAbandoned(deps.directory)) {
    for (const text of report.restored) deps.reporter.note(`restored after a killed controller: ${text}`);
  }
  const prepared = await prepareGang(file, deps);
  deps.signal?.throwIfAborted();
  const clock = deps.clock ?? systemClock;
  const network = await GangNetwork.open(file, sharesFor(file, [], prepared.plan), {
    clock,
    program: deps.program,
    ...(deps.directory === undefined ? {} : { directory: deps.directory }),
    note: (text) => deps.reporter.note(text),
  });
  const fleet = new Fleet(file, { ...deps, clock }, network, prepared);
  let notRestored: string[] = [];
  try {
    await fleet.run();
  } finally {
    notRestored = await network.close();
    for (const text of notRestored) deps.reporter.note(`not restored yet: ${text}`);
  }
  return gangOutcome(file.policy, fleet.figures, notRestored);
}

function sharesFor(file: GangPlanFile, running: readonly RunningMigration[], plan: GangPlan): Shares {
  return sharesOf(shapedLink(file), file.limits, running, plan.sharing === 'in-order');
}

class Fleet {
  readonly #file: GangPlanFile;
  readonly #deps: GangDeps & { readonly clock: Clock };
  readonly #network: GangNetwork;
  readonly #prepared: PlannedGang & Watched;
  readonly #members: readonly GangMemberRun[];
  readonly #startMs: number;
  #plan: GangPlan;
  /** Newest of the source's NIC, and of the destination's. */
  #traffic: HostTraffic | null = null;
  #received: HostTraffic | null = null;
  /** Of Algorithm 2, where the plan file asks for it. */
  #reserved: ReservedState = null;
  #isSampling = false;
  #sampledMs = -Infinity;

  constructor(
    file: GangPlanFile,
    deps: GangDeps & { readonly clock: Clock },
    network: GangNetwork,
    prepared: PlannedGang & Watched,
  ) {
    this.#file = file;
    this.#deps = deps;
    this.#network = network;
    this.#prepared = prepared;
    this.#members = file.members.map((member) => new GangMemberRun(member, file, deps));
    this.#plan = prepared.plan;
    this.#startMs = deps.clock.nowMs();
  }

  get figures() {
    return this.#members.map(({ figures }) => figures);
  }

  #nowMs(): number {
    return this.#deps.clock.nowMs() - this.#startMs;
  }

  #find(name: string): GangMemberRun | undefined {
    return this.#members.find(({ member }) => member.name === name);
  }

  async run(): Promise<void> {
    const { clock, signal } = this.#deps;
    const runs = new Set<Promise<void>>();
    const leave = (): void => this.#members.forEach((each) => each.leave());
    signal?.addEventListener('abort', leave);
    if (signal?.aborted === true) leave();
    try {
      for (;;) {
        for (const name of startsNow(this.#plan, (each) => this.#find(each)?.phase ?? 'ended')) {
          this.#prepare(name, runs);
          this.#begin(name);
        }
        this.#prepareNext(runs);
        await this.#share();
        this.#sample();
        this.#show();
        if (this.#members.every(({ phase }) => phase === 'ended')) return;
        await clock.sleep(this.#isAwaitingStream() ? STREAM_TICK_MS : TICK_MS);
      }
    } finally {
      signal?.removeEventListener('abort', leave);
      // Whatever ended this loop, nobody waits for a turn that never comes.
      leave();
      await Promise.all(runs);
    }
  }

  #isAwaitingStream(): boolean {
    return (
      this.#network.isShaped &&
      this.#members.some((each) => {
        const sinceMs = each.isUnderWay ? each.sinceBeginMs(this.#nowMs()) : null;
        return (
          sinceMs !== null && sinceMs < STREAM_EXPECTED_MS && !this.#network.knowsStream(each.member.name)
        );
      })
    );
  }

  /** Everything up to its begin; once. */
  #prepare(name: string, runs: Set<Promise<void>>): void {
    const member = this.#find(name);
    const planned = this.#plan.vms.find((vm) => vm.name === name);
    if (member === undefined || planned === undefined || member.isPrepared) return;
    const bandwidthBytesPerSec = this.#expectedBandwidth();
    const run = member.run({ planned, nowMs: this.#nowMs(), bandwidthBytesPerSec }).then(() => {
      runs.delete(run);
      this.#network.forgetStream(name);
      this.#replan();
    });
    runs.add(run);
  }

  /** The next one is made ready shortly before its turn: what that takes, the link need not wait for. */
  #prepareNext(runs: Set<Promise<void>>): void {
    if (this.#deps.signal?.aborted === true) return;
    const running = this.#members.filter(({ isUnderWay }) => isUnderWay);
    if (!running.every((each) => (each.leftMs() ?? Infinity) <= PREPARED_BEFORE_MS)) return;
    const next = this.#plan.vms.find(({ name }) => this.#find(name)?.phase === 'waiting');
    if (next !== undefined) this.#prepare(next.name, runs);
  }

  #begin(name: string): void {
    const member = this.#find(name);
    const planned = this.#plan.vms.find((vm) => vm.name === name);
    if (member === undefined || planned === undefined) return;
    member.open(planned, this.#nowMs(), this.#network.isShaped ? null : this.#limitOf(member));
  }

  /** What a migration that has the link to itself would get now, as one stream: the link less what its traffic will be. */
  #expectedBandwidth(): number | null {
    const { limits } = this.#file;
    const link = shapedLink(this.#file);
    const sent = this.#network.history.map(({ workload }) => workload.sentBytesPerSec);
    const others = otherTrafficAhead(sent, SAMPLE_MS, TRAFFIC_HORIZON_MS);
    if (others === null) return this.#prepared.bandwidthBytesPerSec;
    const kept = Math.max(limits.lowerBytesPerSec, Math.min(others, limits.upperBytesPerSec));
    return (link - kept) * STREAM_RATIO;
  }

  /** Those whose order is a matter of forecasts are put in order anew as VMs end. */
  #replan(): void {
    if (this.#plan.sharing !== 'in-order') return;
    const { situation, costOf } = this.#prepared;
    const isWaiting = (name: string): boolean => this.#find(name)?.phase === 'waiting';
    const begun = this.#plan.vms.filter(({ name }) => !isWaiting(name)).map((vm) => ({ ...vm, group: -1 }));
    const waiting = {
      ...situation,
      nowMs: this.#nowMs(),
      vms: situation.vms.filter(({ name }) => isWaiting(name)),
    };
    const { plan } = planGang(this.#file, { situation: waiting, costOf });
    this.#plan = { ...plan, vms: [...begun, ...plan.vms] };
  }

  /** In the plan's order. */
  #running(): RunningMigration[] {
    return this.#plan.vms.flatMap(({ name }) => {
      const run = this.#find(name);
      if (run?.isUnderWay !== true) return [];
      return [{ name, priority: run.member.priority, urgent: run.isUrgent() }];
    });
  }

  #sharesOf(running: readonly RunningMigration[]): Shares {
    const { limits, reservation } = this.#file;
    if (reservation === 'shares' || running.length === 0) return sharesFor(this.#file, running, this.#plan);
    const link = shapedLink(this.#file);
    this.#reserved = reserveFor(this.#reserved, running, link, limits, this.#workloadBefore());
    if (this.#reserved === null) return sharesFor(this.#file, running, this.#plan);
    const names = running.map(({ name }) => name);
    return sharesOfReservation(this.#reserved.reservation, link, names);
  }

  #feedBack({ nic, migration }: HostTraffic): void {
    this.#reserved = feedBack(this.#reserved, shapedLink(this.#file), this.#file.limits, {
      totalBytesPerSec: nic.sentBytesPerSec,
      migrationBytesPerSec: migration.sentBytesPerSec,
    });
  }

  async #share(): Promise<void> {
    const running = this.#running();
    if (!this.#network.isShaped) {
      for (const { name } of running) {
        const run = this.#find(name);
        if (run === undefined) continue;
        const [was, is] = [run.limit.bytesPerSec ?? 0, this.#limitOf(run)];
        if (Math.abs(was - is) > SAME_RATIO * is) run.limit.set(is);
      }
      return;
    }
    try {
      await this.#network.apply(this.#sharesOf(running));
      for (const { name } of running) await this.#network.classifyStream(name);
    } catch (error) {
      // The migrations go on: better less exact floors than none.
      await this.#network.stopShaping(messageOf(error));
    }
  }

  /** What others wanted of the link before the gang began, at the end where that is more. */
  #workloadBefore(): number {
    const { source, destination } = this.#prepared.situation;
    return Math.max(
      source.traffic.workload.sentBytesPerSec,
      destination.traffic.workload.receivedBytesPerSec,
    );
  }

  /** The same now. */
  #workload(): number {
    const { source, destination } = this.#prepared.situation;
    return Math.max(
      (this.#traffic ?? source.traffic).workload.sentBytesPerSec,
      (this.#received ?? destination.traffic).workload.receivedBytesPerSec,
    );
  }

  /** QEMU's own limit for it, where the kernels do not shape. */
  #limitOf(run: GangMemberRun): number {
    const { limits } = this.#file;
    const migration = {
      name: run.member.name,
      priority: run.member.priority,
      urgent: run.isUrgent(),
    };
    const others = {
      migrations: Math.max(1, this.#running().length),
      workloadBytesPerSec: this.#workload(),
    };
    return limitWithoutShaping(shapedLink(this.#file), limits, migration, others) * STREAM_RATIO;
  }

  /** Counters are read beside the loop: they may take a while on another host. */
  #sample(): void {
    const nowMs = this.#nowMs();
    if (this.#isSampling || nowMs - this.#sampledMs < SAMPLE_MS) return;
    this.#isSampling = true;
    this.#sampledMs = nowMs;
    void this.#network
      .sample()
      .then(({ source, destination }) => {
        this.#traffic = source ?? this.#traffic;
        this.#received = destination ?? this.#received;
        if (source !== null) this.#feedBack(source);
      })
      .finally(() => {
        this.#isSampling = false;
      });
  }

  #show(): void {
    this.#deps.reporter.progress({
      atMs: this.#nowMs(),
      members: this.#members.map(({ shown }) => shown),
      traffic: this.#traffic,
    });
  }
}
