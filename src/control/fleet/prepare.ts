// SPDX-License-Identifier: Apache-2.0
// Before a gang begins: everything that could refuse it is asked, guests and traffic are watched, and the plan is made. Nothing
// is changed by any of it.

import { type Clock, messageOf, RefusedError, systemClock } from '../../common/index.ts';
import { gangPolicyByName, migrationBandwidth } from '../../decide/index.ts';
import { costOfProfile } from '../../forecast/index.ts';
import {
  type CostOf,
  type GangPlan,
  type GangSituation,
  type GangVm,
  type GuestProfile,
  type HostTraffic,
  SWITCHOVER_MS,
  type TrafficRates,
} from '../../model/index.ts';
import { readNicCount, runAt, type VmCount, wireBytesOfFrames } from '../../tc/index.ts';
import { openEndpoint } from '../endpoint.ts';
import { readMemoryBytes } from '../machine.ts';
import { checkMigration } from '../migrate.ts';
import { preflightSource } from '../preflight.ts';
import { watchGuest } from '../profile.ts';
import { silentReporter } from '../types.ts';
import { memberOptions } from './member.ts';
import type { GangHost, GangMember, GangPlanFile } from './plan.ts';
import type { GangDeps, PlannedGang } from './types.ts';

/** Of what a link carries on the wire one TCP stream carries so much: 1448 of the 1538 bytes of a full frame. */
export const STREAM_RATIO = 1448 / 1538;

/** What is known of the VMs beside the plan file. */
export interface Watched {
  readonly situation: GangSituation;
  readonly costOf: CostOf;
}

async function each<T>(items: readonly T[], what: (item: T) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(items.map(what));
  const failed = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  const [first] = failed;
  if (first === undefined) return;
  if (failed.length === 1) throw first instanceof Error ? first : new Error(messageOf(first));
  throw new RefusedError(
    `${failed.length} things refuse the gang:\n${failed.map((error) => `  ${messageOf(error)}`).join('\n')}`,
  );
}

async function checkHost({ place, nic }: GangHost, shaping: boolean): Promise<void> {
  await readNicCount(place, nic);
  // Both ask without changing, and need what changing needs.
  await runAt(place, ['nft', '-j', 'list', 'tables']);
  if (shaping) await runAt(place, ['tc', '-V']);
}

async function checkMember(plan: GangPlanFile, member: GangMember, deps: GangDeps): Promise<void> {
  const { insecure } = deps;
  try {
    if (plan.launch === null) {
      const migrateDeps = { reporter: silentReporter, program: null };
      await checkMigration(memberOptions(member, 'adaptive', plan, deps), migrateDeps);
      return;
    }
    const source = await openEndpoint('source', member.source, { insecure });
    try {
      await preflightSource(source);
    } finally {
      await source.client.close();
    }
  } catch (error) {
    throw new RefusedError(`${member.name}: ${messageOf(error)}`, {
      cause: error,
      ...(error instanceof RefusedError && error.remedy !== undefined ? { remedy: error.remedy } : {}),
    });
  }
}

/** Refuses what would fail later. Changes nothing. @throws RefusedError, TcError: all that is wrong */
export async function checkGang(plan: GangPlanFile, deps: GangDeps): Promise<void> {
  await each([plan.source, plan.destination], (host) => checkHost(host, plan.shaping));
  const taps = plan.members.flatMap(({ tap }) => tap ?? []);
  await each(taps, async (tap) => {
    await readNicCount(plan.source.place, tap);
  });
  await each(plan.members, (member) => checkMember(plan, member, deps));
}

function ratesOf(before: VmCount, after: VmCount, passedMs: number): TrafficRates {
  const rate = (a: VmCount['sent'], b: VmCount['sent']): number => {
    const grown = { bytes: b.bytes - a.bytes, packets: b.packets - a.packets };
    return grown.bytes < 0 ? 0 : (wireBytesOfFrames(grown) / passedMs) * 1000;
  };
  return {
    sentBytesPerSec: rate(before.sent, after.sent),
    receivedBytesPerSec: rate(before.received, after.received),
  };
}

/** What a TAP device receives its VM sends. */
function ofVm({ sentBytesPerSec, receivedBytesPerSec }: TrafficRates): TrafficRates {
  return { sentBytesPerSec: receivedBytesPerSec, receivedBytesPerSec: sentBytesPerSec };
}

async function watchTraffic(
  plan: GangPlanFile,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<{
  readonly source: Pick<HostTraffic, 'workload'>;
  readonly destination: Pick<HostTraffic, 'workload'>;
  readonly taps: ReadonlyMap<string, TrafficRates>;
}> {
  const { source, destination, members, sampleMs } = plan;
  const taps = members.flatMap(({ name, tap }) => (tap === null ? [] : [{ name, tap }]));
  const read = async () => ({
    atMs: clock.nowMs(),
    source: await readNicCount(source.place, source.nic),
    destination: await readNicCount(destination.place, destination.nic),
    taps: await Promise.all(taps.map(({ tap }) => readNicCount(source.place, tap))),
  });
  const before = await read();
  await clock.sleep(sampleMs, signal);
  const after = await read();
  const passedMs = after.atMs - before.atMs;
  return {
    source: { workload: ratesOf(before.source, after.source, passedMs) },
    destination: { workload: ratesOf(before.destination, after.destination, passedMs) },
    taps: new Map(
      taps.flatMap(({ name }, i) => {
        const [was, is] = [before.taps[i], after.taps[i]];
        return was === undefined || is === undefined ? [] : [[name, ofVm(ratesOf(was, is, passedMs))]];
      }),
    ),
  };
}

async function watchMember(
  member: GangMember,
  plan: GangPlanFile,
  deps: GangDeps,
  clock: Clock,
): Promise<{ readonly memoryBytes: number; readonly profile: GuestProfile | null }> {
  const { insecure, signal, reporter } = deps;
  const options = { insecure, clock, ...(signal === undefined ? {} : { signal }) };
  const watched = await watchGuest(member.source, plan.sampleMs, options).catch((error: unknown) => {
    signal?.throwIfAborted();
    reporter.note(`${member.name}: ${messageOf(error)}`);
    return null;
  });
  const profile = watched?.profile ?? null;
  if (profile !== null) return { memoryBytes: profile.memoryBytes, profile };
  const source = await openEndpoint('source', member.source, { insecure });
  try {
    return { memoryBytes: await readMemoryBytes(source.client), profile };
  } finally {
    await source.client.close();
  }
}

/** Watches guests and NICs for the plan's `sample`. Changes nothing. */
export async function watchGang(plan: GangPlanFile, deps: GangDeps): Promise<Watched> {
  const clock = deps.clock ?? systemClock;
  deps.reporter.note(`watching ${plan.members.length} guests and their traffic`);
  const [traffic, watched] = await Promise.all([
    watchTraffic(plan, clock, deps.signal),
    Promise.all(plan.members.map((member) => watchMember(member, plan, deps, clock))),
  ]);
  const vms = plan.members.map(({ name, priority, objective, group }, i): GangVm => ({
    name,
    priority,
    memoryBytes: watched[i]?.memoryBytes ?? 0,
    deadlineMs: objective.deadlineMs,
    mayPostcopy: objective.postcopy !== 'forbidden',
    group: group ?? 0,
    traffic: traffic.taps.get(name) ?? { sentBytesPerSec: 0, receivedBytesPerSec: 0 },
  }));
  const situation: GangSituation = {
    nowMs: 0,
    source: { linkBytesPerSec: plan.source.linkBytesPerSec, traffic: traffic.source },
    destination: { linkBytesPerSec: plan.destination.linkBytesPerSec, traffic: traffic.destination },
    limits: plan.limits,
    vms,
  };
  const costOf: CostOf = (name, technique, wireBytesPerSec) => {
    const index = plan.members.findIndex((member) => member.name === name);
    const [member, profile] = [plan.members[index], watched[index]?.profile ?? null];
    if (member === undefined || profile === null) return null;
    return costOfProfile(profile, {
      technique,
      bandwidthBytesPerSec: wireBytesPerSec * STREAM_RATIO,
      maxDowntimeMs: member.objective.maxDowntimeMs,
      mayPostcopy: member.objective.postcopy !== 'forbidden',
      switchoverMs: SWITCHOVER_MS,
    });
  };
  return { situation, costOf };
}

/** With the techniques that the file itself names. */
function asOrdered({ members }: GangPlanFile, plan: GangPlan): GangPlan {
  return {
    ...plan,
    vms: plan.vms.map((vm) => {
      const technique = members.find(({ name }) => name === vm.name)?.technique ?? null;
      return technique === null
        ? vm
        : { ...vm, technique, reason: `${vm.reason}; ${technique} as the plan file says` };
    }),
  };
}

/** The plan of the policy that the file names, for what is still to be migrated. */
export function planGang(file: GangPlanFile, { situation, costOf }: Watched): PlannedGang {
  const { policy: name, thresholds, clustering } = file;
  const policy = gangPolicyByName(name, { thresholds, clustering });
  if (policy === undefined) throw new RefusedError(`there is no gang policy ${name}`);
  const plan = asOrdered(file, policy.plan(situation, costOf));
  const wireBytesPerSec = migrationBandwidth(situation);
  return {
    policy: name,
    situation,
    plan,
    costs: new Map(plan.vms.map((vm) => [vm.name, costOf(vm.name, vm.technique, wireBytesPerSec)])),
    bandwidthBytesPerSec: wireBytesPerSec * STREAM_RATIO,
  };
}
