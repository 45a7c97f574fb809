// SPDX-License-Identifier: Apache-2.0
// One VM of a gang: its technique as a policy, and its migration from begin to end, whatever becomes of it.

import { join } from 'node:path';
import { type Clock, EXIT, messageOf, SlackwaterError } from '../../common/index.ts';
import { policyByName, type VmPhase } from '../../decide/index.ts';
import type { Objective, Outcome, PlannedVm, Policy, Technique } from '../../model/index.ts';
import { runAt, HERE } from '../../tc/index.ts';
import { BandwidthLimit } from '../bandwidth-limit.ts';
import { migrate } from '../migrate.ts';
import type { MigrateOptions, Progress } from '../types.ts';
import type { GangMember, GangPlanFile } from './plan.ts';
import type { GangDeps, MemberProgress } from './types.ts';

const POLICIES: Readonly<Record<Technique, string>> = {
  precopy: 'qemu-default',
  postcopy: 'postcopy-immediate',
  hybrid: 'hybrid-1',
  adaptive: 'adaptive',
};

function policyOf(technique: Technique): Policy {
  const policy = policyByName(POLICIES[technique]);
  if (policy === undefined) throw new Error(`there is no policy ${POLICIES[technique]}`);
  return policy;
}

/** Pre-copy alone is what its name says. */
function objectiveOf(objective: Objective, technique: Technique): Objective {
  return technique === 'precopy' ? { ...objective, postcopy: 'forbidden' } : objective;
}

/** A deadline that counts from the start of the gang, from now on; one that has passed is none that could be kept. */
function within(objective: Objective, nowMs: number): Objective {
  const { deadlineMs } = objective;
  const leftMs = deadlineMs === null ? null : deadlineMs - nowMs;
  return { ...objective, deadlineMs: leftMs === null || leftMs <= 0 ? null : leftMs };
}

/** What `migrate` is to be asked for. */
export function memberOptions(
  member: GangMember,
  technique: Technique,
  plan: GangPlanFile,
  { insecure, traceDirectory }: Pick<GangDeps, 'insecure' | 'traceDirectory'>,
): MigrateOptions {
  return {
    objective: objectiveOf(member.objective, technique),
    policy: policyOf(technique),
    mode: 'enforce',
    tracePath: traceDirectory === null ? null : join(traceDirectory, `${member.name}.trace`),
    insecure,
    postcopyStallMs: 5000,
    linkBytesPerSec: null,
    giveUpMs: member.giveUpMs,
    source: member.source,
    destination: member.destination,
    uri: member.uri,
    // QEMU's own limit is not to be lower than the link; shares of it are another matter.
    bandwidthBytesPerSec: Math.round(Math.min(plan.source.linkBytesPerSec, plan.destination.linkBytesPerSec)),
    tlsCreds: null,
    tlsHostname: null,
    quitSource: false,
    profileMs: 0,
  };
}

/** An outcome of a migration that was refused, or broke before it could say how it ended. */
function outcomeOfError(error: unknown, interrupted: boolean): Outcome {
  const isRefusal =
    error instanceof SlackwaterError && (error.exitCode === EXIT.refused || error.exitCode === EXIT.usage);
  return {
    kind: isRefusal || interrupted ? 'source-running' : 'unknown',
    reason: messageOf(error),
    command: null,
    interrupted,
    givenUp: false,
    startedAtMs: 0,
    waitedMs: 0,
    tmtMs: null,
    qemuTotalMs: null,
    qemuDowntimeMs: null,
    stopToResume: null,
    transferredBytes: null,
    rounds: null,
    usedPostcopy: false,
    forecastDowntimeMs: null,
    notRestored: [],
  };
}

export interface MemberStart {
  readonly planned: PlannedVm;
  /** Since the gang's start. */
  readonly nowMs: number;
  /** What the link is expected to carry for it; null: to be found out. */
  readonly bandwidthBytesPerSec: number | null;
  readonly limitBytesPerSec: number | null;
}

const LAUNCH_PLACE = HERE;

/** A VM on its way: begun at most as often as the plan allows, and always with an outcome in the end. */
export class GangMemberRun {
  readonly member: GangMember;
  readonly limit = new BandwidthLimit(null);
  readonly #file: GangPlanFile;
  readonly #deps: GangDeps & { readonly clock: Clock };
  #phase: VmPhase = 'waiting';
  #progress: Progress | null = null;
  #planned: PlannedVm | null = null;
  #outcome: Outcome | null = null;
  #startMs: number | null = null;
  #endMs: number | null = null;
  #attempts = 0;

  constructor(member: GangMember, file: GangPlanFile, deps: GangDeps & { readonly clock: Clock }) {
    this.member = member;
    this.#file = file;
    this.#deps = deps;
  }

  get phase(): VmPhase {
    if (this.#phase !== 'running') return this.#phase;
    const status = this.#progress?.observation.status ?? 'none';
    return status.startsWith('postcopy') || status === 'device' || status === 'pre-switchover'
      ? 'ending'
      : 'running';
  }

  get planned(): PlannedVm | null {
    return this.#planned;
  }

  get newest(): Progress | null {
    return this.#progress;
  }

  get figures() {
    const { name, priority, objective } = this.member;
    const outcome = this.#outcome ?? outcomeOfError(new Error('not begun'), true);
    return {
      name,
      priority,
      planned: this.#planned,
      startMs: this.#startMs,
      endMs: this.#endMs,
      deadlineMs: objective.deadlineMs,
      outcome,
      attempts: this.#attempts,
    };
  }

  get shown(): MemberProgress {
    const { name } = this.member;
    const ended = this.#phase === 'ended' ? (this.#outcome?.kind ?? 'not begun') : null;
    return { name, phase: this.phase, planned: this.#planned, progress: this.#progress, ended };
  }

  /** It does not begin any more. */
  leave(): void {
    if (this.#phase === 'waiting') this.#phase = 'ended';
  }

  /** Begins; resolves when it has ended, or is to be tried again. Never rejects. */
  async run({ planned, nowMs, bandwidthBytesPerSec, limitBytesPerSec }: MemberStart): Promise<void> {
    const { clock, signal, reporter, program, directory } = this.#deps;
    const { name } = this.member;
    const zeroMs = clock.nowMs() - nowMs;
    this.#phase = 'running';
    this.#planned = planned;
    this.#startMs ??= nowMs;
    this.#attempts += 1;
    this.limit.set(limitBytesPerSec);
    try {
      await this.#launch();
      const options = memberOptions(this.member, planned.technique, this.#file, this.#deps);
      this.#outcome = await migrate(
        {
          ...options,
          objective: within(options.objective, nowMs),
          linkBytesPerSec: bandwidthBytesPerSec,
          bandwidthLimit: this.limit,
        },
        {
          clock,
          program,
          ...(directory === undefined ? {} : { directory }),
          ...(signal === undefined ? {} : { signal }),
          reporter: {
            progress: (progress) => {
              this.#progress = progress;
            },
            decision: (action, carriedOut) => reporter.decision(name, action, carriedOut),
            note: (text) => reporter.note(`${name}: ${text}`),
            confirm: () => Promise.resolve(false),
          },
        },
      );
    } catch (error) {
      this.#outcome = outcomeOfError(error, signal?.aborted === true);
      reporter.note(`${name}: ${messageOf(error)}`);
    }
    this.#endMs = clock.nowMs() - zeroMs;
    this.#phase = this.#mayRetry() ? 'waiting' : 'ended';
    if (this.#phase === 'waiting') reporter.note(`${name} is tried once more: ${this.#outcome.reason}`);
    this.#progress = null;
  }

  #mayRetry(): boolean {
    const { onFailure } = this.member;
    const { signal } = this.#deps;
    return (
      onFailure === 'retry' &&
      this.#attempts < 2 &&
      this.#outcome?.kind === 'source-running' &&
      signal?.aborted !== true
    );
  }

  /** Starts the destination where that is ours to do. @throws TcError with what it said */
  async #launch(): Promise<void> {
    const { launch } = this.#file;
    if (launch === null) return;
    await runAt(
      LAUNCH_PLACE,
      launch.map((word) => word.replaceAll('{name}', this.member.name)),
    );
  }
}
