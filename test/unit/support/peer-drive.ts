// SPDX-License-Identifier: Apache-2.0
// Runs a policy against a guest that is made up: rounds begin at fixed times, readings come every 250 ms, ticks when the
// policy asked for them. In the order of the live controller, without waiting.

import { peerPolicy } from '../../../src/decide/index.ts';
import type { Action, Forecast, Observation, Policy, PolicyContext } from '../../../src/model/index.ts';
import { MIB, observation } from './observation.ts';
import { OBJECTIVE, policyContext } from './policy-context.ts';

export const GIB = 1024 * MIB;
export const MB = 1e6;

export const NO_FORECAST: Forecast = {
  atMs: 0,
  ready: false,
  bandwidthBytesPerSec: null,
  curve: null,
  errorRatio: 1,
  longestWindowMs: 0,
  plateau: null,
  pace: null,
  workingSetConverged: null,
  precopy: [],
  postcopy: [],
  downtimeOverheadMs: 0,
};

/** Of an operator whose maximum downtime is not QEMU's default, so that it shows who goes by it. */
export function peer(id: string, timeScale?: number): Policy {
  const policy = peerPolicy(id, timeScale);
  if (policy === undefined) throw new Error(`no peer ${id}`);
  return policy;
}

export function peerContext(fields: Partial<PolicyContext> = {}): PolicyContext {
  return policyContext({ objective: { ...OBJECTIVE, maxDowntimeMs: 250 }, ...fields });
}

export interface Scenario {
  readonly context?: Partial<PolicyContext>;
  readonly untilMs: number;
  /** Between two round boundaries. */
  readonly roundMs: number;
  /** How long the first round takes, where it is not as long as the others. */
  readonly firstRoundMs?: number;
  readonly sampleMs?: number;
  readonly forecast?: Forecast;
  /** What is special about the guest at that time. */
  readonly see?: (atMs: number, round: number, kind: 'round' | 'sample') => Partial<Observation>;
}

export interface Taken {
  readonly atMs: number;
  readonly action: Action;
}

/** All actions of the run, those of `init` at 0, with the times at which they were taken. */
export function drive(policy: Policy, scenario: Scenario): Taken[] {
  const { roundMs, sampleMs = 250, see, forecast = NO_FORECAST } = scenario;
  const context = peerContext(scenario.context);
  let { state, actions, wakeAtMs } = policy.init(context);
  const taken: Taken[] = actions.map((action) => ({ atMs: 0, action }));
  let nextRoundMs = scenario.firstRoundMs ?? roundMs;
  let nextSampleMs = 0;
  let round = 1;
  let roundStartMs = 0;
  let nowMs = 0;
  for (;;) {
    const observeMs = Math.min(nextRoundMs, nextSampleMs);
    // A tick that has been due for a while comes at once.
    nowMs = Math.max(nowMs, Math.min(observeMs, wakeAtMs ?? Infinity));
    if (nowMs > scenario.untilMs) return taken;
    if (observeMs <= nowMs) {
      const kind = nextRoundMs <= nowMs ? 'round' : 'sample';
      const endedRoundMs = kind === 'round' ? nowMs - roundStartMs : null;
      if (kind === 'round') {
        round += 1;
        roundStartMs = nowMs;
        nextRoundMs += roundMs;
      } else {
        nextSampleMs += sampleMs;
      }
      const seen = observation({
        kind,
        atMs: nowMs,
        round,
        roundStartMs,
        endedRoundMs,
        lastWindowBytesPerSec: 117e6,
        ...see?.(nowMs, round, kind),
      });
      ({ state, actions, wakeAtMs } = policy.step(state, {
        kind: 'observation',
        nowMs,
        observation: seen,
        forecast,
      }));
    } else {
      ({ state, actions, wakeAtMs } = policy.step(state, { kind: 'tick', nowMs }));
      if (wakeAtMs !== null && wakeAtMs <= nowMs) throw new Error(`a tick at ${nowMs} asks for itself again`);
    }
    for (const action of actions) taken.push({ atMs: nowMs, action });
  }
}

/** "150@20": downtime-limit 150 ms set at 20 s; "post-copy@40", "abort@70", "pause@5", "12.5 MB/s@0". */
export function spell({ atMs, action }: Taken): string {
  const at = `@${Number((atMs / 1000).toFixed(3))}`;
  switch (action.kind) {
    case 'start-postcopy':
      return `post-copy${at}`;
    case 'cancel':
      return `abort${at}`;
    case 'pause-guest':
      return `pause${at}`;
    case 'set-parameters':
      if (action.change.downtimeLimitMs !== undefined) return `${action.change.downtimeLimitMs}${at}`;
      if (action.change.maxBandwidthBytesPerSec !== undefined) {
        return `${action.change.maxBandwidthBytesPerSec / 1e6} MB/s${at}`;
      }
      return `parameters${at}`;
    default:
      return `${action.kind}${at}`;
  }
}

export function spelled(taken: readonly Taken[]): string {
  return taken.map(spell).join(', ');
}

/** The downtime-limits that were set, in order. */
export function downtimes(taken: readonly Taken[]): number[] {
  return taken.flatMap(({ action }) =>
    action.kind === 'set-parameters' && action.change.downtimeLimitMs !== undefined
      ? [action.change.downtimeLimitMs]
      : [],
  );
}

/** A guest with so many MiB dirty at each boundary, that of the second round first; the last repeats. */
export function dirtyRounds(...mib: number[]): NonNullable<Scenario['see']> {
  return (_, round) => {
    const bytes = (mib[round - 2] ?? mib.at(-1) ?? 0) * MIB;
    return { dirtyAtRoundStartBytes: bytes, remainingBytes: bytes };
  };
}

/** What a link of that many bytes/s has carried by then. */
export function sentAt(bytesPerSec: number, atMs: number): number {
  return (bytesPerSec * atMs) / 1000;
}
