// SPDX-License-Identifier: Apache-2.0
// One VM of a gang: its technique as a policy, and its migration from begin to end, whatever becomes of it.

import { join } from 'node:path';
import { JournalLockedError } from '../../act/index.ts';
import { type Clock, EXIT, messageOf, RefusedError, SlackwaterError } from '../../common/index.ts';
import { isLate, policyByName, type VmPhase } from '../../decide/index.ts';
import type { Objective, Outcome, PlannedVm, Policy, Technique } from '../../model/index.ts';
import { QmpCommandError } from '../../qmp/index.ts';
import { BandwidthLimit } from '../bandwidth-limit.ts';
import { migrate } from '../migrate.ts';
import type { MigrateOptions, Progress } from '../types.ts';
import { launchDestination, quitWaiting } from './launch.ts';
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

/** A deadline that counts from the start of the gang, from when the VM is prepared on (a little before it begins); one that has passed is none that could be kept. */
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
  // Where post-copy is required, pre-copy alone is not what is wanted: the adaptive policy goes as far as it can with it.
  const way = technique === 'precopy' && member.objective.postcopy === 'required' ? 'adaptive' : technique;
  return {
    objective: objectiveOf(member.objective, way),
    policy: policyOf(way),
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

/** An outcome of a VM of which there is none else. */
function outcomeWithout(kind: 'source-running' | 'unknown', reason: string, interrupted: boolean): Outcome {
  return {
    kind,
    reason,
    interrupted,
    command: null,
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

/**
 * Of a migration that was refused, or broke. Before its turn, and where somebody refused it, nothing has left the source; else who
 * has the guest is to be asked.
 */
function outcomeOfError(error: unknown, member: GangMember, begun: boolean, interrupted: boolean): Outcome {
  const isRefusal =
    error instanceof QmpCommandError ||
    (error instanceof SlackwaterError && (error.exitCode === EXIT.refused || error.exitCode === EXIT.usage));
  const reason = messageOf(error);
  if (!begun || isRefusal) return outcomeWithout('source-running', reason, interrupted && !begun);
  const command = `slackwater status --qmp ${member.source} --dest-qmp ${member.destination}`;
  return { ...outcomeWithout('unknown', reason, false), command };
}

/** A guardian asks again and again while an end does not answer, five seconds apart at most. */
const GUARDIAN_MS = 20_000;
const GUARDIAN_POLL_MS = 250;

export interface MemberStart {
  readonly planned: PlannedVm;
  /** Since the gang's start. */
  readonly nowMs: number;
  /** What the link is expected to carry for it; null: to be found out. */
  readonly bandwidthBytesPerSec: number | null;
}

const UNDER_WAY: ReadonlySet<VmPhase> = new Set(['running', 'stopping', 'ending']);

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
  /** When this attempt began. */
  #openedMs: number | null = null;
  /** Since the gang's start: when QEMU said that it is migrated, and when its outcome was known. */
  #overMs: number | null = null;
  #endMs: number | null = null;
  #attempts = 0;
  #open: (() => void) | null = null;
  #refuse: (() => void) | null = null;

  constructor(member: GangMember, file: GangPlanFile, deps: GangDeps & { readonly clock: Clock }) {
    this.member = member;
    this.#file = file;
    this.#deps = deps;
  }

  get phase(): VmPhase {
    if (this.#phase !== 'running') return this.#phase;
    if (this.#overMs !== null) return 'over';
    const { status = 'none', destinationResumed = null } = this.#progress?.observation ?? {};
    if (status === 'device' || status === 'pre-switchover') return 'stopping';
    if (!status.startsWith('postcopy')) return 'running';
    return destinationResumed === false ? 'stopping' : 'ending';
  }

  /** It crosses just now. */
  get isUnderWay(): boolean {
    return UNDER_WAY.has(this.phase);
  }

  /** How long ago it began; null before. */
  sinceBeginMs(nowMs: number): number | null {
    return this.#openedMs === null ? null : nowMs - this.#openedMs;
  }

  /** In its last phases, or forecast to miss its deadline: it is to have what the floor leaves. */
  isUrgent(): boolean {
    if (this.#isSwitching) return true;
    const { deadlineMs } = this.member.objective;
    const forecast = this.#progress?.forecast;
    if (deadlineMs === null || this.#openedMs === null || forecast === undefined) return false;
    return isLate(forecast, this.member.objective, deadlineMs - this.#openedMs);
  }

  get #isSwitching(): boolean {
    return this.phase === 'stopping' || this.phase === 'ending';
  }

  /** How long what is left of it takes, as far as is known; null: longer than anybody could say. */
  leftMs(): number | null {
    if (this.#isSwitching) return 0;
    const { remainingBytes, bandwidthBytesPerSec } = this.#progress?.observation ?? {};
    if (remainingBytes === undefined || remainingBytes === null) return null;
    if (bandwidthBytesPerSec === undefined || bandwidthBytesPerSec === null) return null;
    return bandwidthBytesPerSec > 0 ? (remainingBytes / bandwidthBytesPerSec) * 1000 : null;
  }

  get figures() {
    const { name, priority, objective } = this.member;
    const outcome = this.#outcome ?? outcomeWithout('source-running', 'not begun', true);
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

  /** It does not begin any more; what was prepared is put back. */
  leave(): void {
    if (this.#phase !== 'waiting') return;
    if (this.isPrepared) this.#refuse?.();
    else this.#phase = 'ended';
  }

  /** Whether everything up to its begin is being done, or is done. */
  get isPrepared(): boolean {
    return this.#open !== null;
  }

  /** It is its turn: what was prepared begins. */
  open(planned: PlannedVm, nowMs: number, limitBytesPerSec: number | null): void {
    this.#planned = planned;
    this.#startMs ??= nowMs;
    this.#openedMs = nowMs;
    this.#phase = 'running';
    this.limit.set(limitBytesPerSec);
    this.#open?.();
  }

  /**
   * Prepares everything; the migration begins when `open` is called. Resolves when it has ended, or is to be tried again. Never
   * rejects.
   */
  async run({ planned, nowMs, bandwidthBytesPerSec }: MemberStart): Promise<void> {
    const { clock, signal, reporter, program, directory } = this.#deps;
    const { name } = this.member;
    const zeroMs = clock.nowMs() - nowMs;
    this.#attempts += 1;
    const turn = new Promise<void>((resolve, reject) => {
      this.#open = resolve;
      this.#refuse = () => reject(new RefusedError('not begun: the gang ended before its turn'));
    });
    // It may have failed before its turn.
    turn.catch(() => undefined);
    try {
      const { launch } = this.#file;
      if (launch !== null) await launchDestination(launch, name, signal);
      const options = memberOptions(this.member, planned.technique, this.#file, this.#deps);
      this.#outcome = await this.#whenFree(() =>
        migrate(
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
            restoresFirst: false,
            gate: () => turn,
            reporter: {
              progress: (progress) => {
                this.#progress = progress;
                if (progress.observation.status === 'completed') this.#overMs ??= clock.nowMs() - zeroMs;
              },
              decision: (action, carriedOut) => reporter.decision(name, action, carriedOut),
              note: (text) => reporter.note(`${name}: ${text}`),
              confirm: () => Promise.resolve(false),
            },
          },
        ),
      );
    } catch (error) {
      this.#outcome = outcomeOfError(error, this.member, this.#phase === 'running', signal?.aborted === true);
      reporter.note(`${name}: ${messageOf(error)}`);
    }
    if (this.#file.launch !== null && this.#outcome.kind === 'source-running') {
      await quitWaiting(this.member, this.#deps.insecure);
    }
    // What comes after the migration concerns nobody but its controller.
    const overMs = this.#outcome.kind === 'completed' ? this.#overMs : null;
    this.#endMs = this.#startMs === null ? null : (overMs ?? clock.nowMs() - zeroMs);
    this.#overMs = null;
    this.#open = null;
    this.#refuse = null;
    this.#phase = this.#mayRetry() ? 'waiting' : 'ended';
    if (this.#phase === 'waiting') reporter.note(`${name} is tried once more: ${this.#outcome.reason}`);
    this.#progress = null;
  }

  /** The guardian of an attempt that failed may still be putting things back: a later one waits for it. */
  async #whenFree<T>(attempt: () => Promise<T>): Promise<T> {
    const { clock, signal } = this.#deps;
    const untilMs = clock.nowMs() + GUARDIAN_MS;
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const isOurs = error instanceof JournalLockedError && this.#attempts > 1;
        if (!isOurs || signal?.aborted === true || clock.nowMs() >= untilMs) throw error;
        await clock.sleep(GUARDIAN_POLL_MS);
      }
    }
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
}
