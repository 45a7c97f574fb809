// SPDX-License-Identifier: Apache-2.0
// How a migration ended, concluded only from what both QEMUs say when asked, never from a time-out alone. Sees to it
// that the guest runs in exactly one place: resumes a destination that was left paused, and a source only when the
// destination is proven dead and never ran.

import { type Clock, messageOf, systemClock } from '../common/index.ts';
import type { OutcomeKind } from '../model/index.ts';
import {
  connectQmp,
  QmpConnectError,
  type QmpAddress,
  type QmpClient,
  QmpDisconnectedError,
  QmpTimeoutError,
} from '../qmp/index.ts';
import { QUERY_TIMEOUT_MS } from './endpoint.ts';

/** One question of many; QEMU stalls for up to 150 ms at a switchover. */
const ASK_TIMEOUT_MS = 1500;

/** What one QEMU says of itself. */
export type EndState =
  | {
      readonly kind: 'answers';
      readonly running: boolean;
      readonly runStatus: string;
      readonly migration: string;
    }
  /** Its monitor's socket is gone or nobody listens behind it: the process has ended. */
  | { readonly kind: 'dead' }
  | { readonly kind: 'silent'; readonly why: string };

export interface Conclusion {
  readonly kind: OutcomeKind;
  readonly reason: string;
}

/** A QEMU that is about to end may still accept, and hang up: it is asked again until it does not, or for so long. */
const ENDING_MS = 1000;
const ASK_AGAIN_MS = 20;

/** Asks over the open connection, or over new ones when that is lost. */
export async function askEnd(
  client: QmpClient | null,
  address: QmpAddress,
  clock: Clock = systemClock,
): Promise<EndState> {
  const options = { timeoutMs: ASK_TIMEOUT_MS };
  const ask = async (open: QmpClient): Promise<EndState> => {
    const [run, migration] = await Promise.all([
      open.execute('query-status', undefined, options),
      open.execute('query-migrate', undefined, options),
    ]);
    return {
      kind: 'answers',
      running: run.running,
      runStatus: run.status,
      migration: migration.status ?? 'none',
    };
  };
  try {
    if (client?.state === 'running') return await ask(client);
  } catch (error) {
    // Open but mute: in post-copy QEMU's main loop itself may wait for a page. Another connection would fare no better.
    if (error instanceof QmpTimeoutError) return { kind: 'silent', why: messageOf(error) };
  }
  const deadlineMs = clock.nowMs() + ENDING_MS;
  for (;;) {
    try {
      await using fresh = await connectQmp(address, { connectTimeoutMs: 2000, greetingTimeoutMs: 2000 });
      return await ask(fresh);
    } catch (error) {
      const reason = error instanceof QmpConnectError ? error.reason : null;
      if (reason === 'missing' || reason === 'refused') return { kind: 'dead' };
      const hungUp = reason === 'closed' || error instanceof QmpDisconnectedError;
      if (!hungUp || clock.nowMs() >= deadlineMs) return { kind: 'silent', why: messageOf(error) };
      await clock.sleep(ASK_AGAIN_MS);
    }
  }
}

interface Ends {
  readonly source: EndState;
  readonly destination: EndState;
  /** Post-copy had begun: the destination may hold pages that nobody else has. */
  readonly usedPostcopy: boolean;
  readonly destinationRan: boolean;
  /** We stopped the source's guest: neither QEMU starts it by itself. */
  readonly guestPaused: boolean;
  readonly because: string;
}

/** The table of endings. Pure: both ends' words in, the conclusion or what has to be done first out. */
export function judge(ends: Ends): Conclusion | 'wait' | 'resume-destination' | 'resume-source' {
  const { source, destination, usedPostcopy, destinationRan, guestPaused, because } = ends;
  const postcopyPaused = (state: EndState): boolean =>
    state.kind === 'answers' && state.migration.startsWith('postcopy-paused');

  const arrived =
    destination.kind === 'answers' && !destination.running && destination.migration === 'completed';

  if (destination.kind === 'answers' && destination.running) {
    if (source.kind === 'answers' && source.running) {
      return { kind: 'unknown', reason: 'both QEMUs say that their guest runs: stop one of them now' };
    }
    const stillFetching = destination.migration.startsWith('postcopy');
    if (!stillFetching || (source.kind === 'answers' && source.migration === 'completed')) {
      return { kind: 'completed', reason: 'the guest runs on the destination' };
    }
    if (source.kind === 'dead') {
      return { kind: 'lost', reason: 'the source died in post-copy: pages that only it had are gone' };
    }
    if (postcopyPaused(source) || postcopyPaused(destination)) {
      return { kind: 'postcopy-paused', reason: because };
    }
    return 'wait';
  }
  if (source.kind === 'answers' && source.running) {
    // A lost monitor is no end: the migration may go on without us.
    const goesOn = ['setup', 'active', 'device', 'cancelling', 'pre-switchover', 'wait-unplug'];
    if (goesOn.includes(source.migration)) return 'wait';
    const copy = arrived ? '; the destination has a copy that stands still: quit that QEMU' : '';
    return { kind: 'source-running', reason: `${because}${copy}` };
  }
  // By its own word the guest is still its own.
  const sourceKept = source.kind === 'answers' && ['failed', 'cancelled'].includes(source.migration);
  // A cancel may come too late for the destination, which has all of the guest then. Stopped by us, the guest stands still on both
  // ends, and stays so on the destination.
  const destinationOut =
    destination.kind === 'dead' ||
    (destination.kind === 'answers' && ['failed', 'none'].includes(destination.migration)) ||
    (arrived && sourceKept && guestPaused && !usedPostcopy);
  const postcopyHolds = usedPostcopy && !sourceKept;
  if (postcopyHolds && destination.kind === 'dead') {
    // Also when it never ran because it could not load the devices: QEMU 10.0 lets a source in post-copy neither cancel
    // nor continue. Newer ones fail the migration instead, and the source is resumed below.
    return { kind: 'lost', reason: 'the destination died in post-copy and took the guest with it' };
  }
  if (usedPostcopy && source.kind === 'dead') {
    return { kind: 'lost', reason: 'the source died in post-copy: pages that only it had are gone' };
  }
  if (
    postcopyHolds &&
    postcopyPaused(source) &&
    destination.kind === 'answers' &&
    destination.migration === 'failed'
  ) {
    return {
      kind: 'lost',
      reason: 'the destination failed before it had all of the devices: it cannot be recovered',
    };
  }
  if (usedPostcopy && postcopyPaused(source)) {
    return { kind: 'postcopy-paused', reason: because };
  }
  if (source.kind === 'answers' && source.migration === 'completed') {
    if (destination.kind === 'dead') {
      return { kind: 'lost', reason: 'the destination died after it had taken the guest over' };
    }
    if (destination.kind === 'answers' && destination.migration === 'completed') return 'resume-destination';
    return 'wait';
  }
  if (
    source.kind === 'answers' &&
    ['failed', 'cancelled', 'none'].includes(source.migration) &&
    destinationOut &&
    !destinationRan
  ) {
    return 'resume-source';
  }
  if (source.kind === 'dead' && destination.kind === 'dead') {
    return { kind: 'lost', reason: 'both QEMUs have ended' };
  }
  if (source.kind === 'dead' && destination.kind === 'answers' && !destinationRan) {
    return { kind: 'lost', reason: 'the source died before the destination had the whole guest' };
  }
  return 'wait';
}

export interface ConcludeInput {
  readonly source: QmpClient;
  readonly sourceAddress: QmpAddress;
  /** Null: connected to for each question. */
  readonly destination: QmpClient | null;
  readonly destinationAddress: QmpAddress;
  readonly usedPostcopy: boolean;
  readonly destinationRan: () => boolean;
  /** We stopped the source's guest: QEMU will not resume it by itself. */
  readonly guestPaused: boolean;
  readonly because: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** Asks until both ends' words agree on an ending; `unknown` only after they have been asked for `timeoutMs`. */
export async function conclude(input: ConcludeInput): Promise<Conclusion> {
  const { clock } = input;
  const deadlineMs = clock.nowMs() + input.timeoutMs;
  const options = { timeoutMs: QUERY_TIMEOUT_MS };
  for (;;) {
    const [source, destination] = await Promise.all([
      askEnd(input.source, input.sourceAddress, clock),
      askEnd(input.destination, input.destinationAddress, clock),
    ]);
    const verdict = judge({
      source,
      destination,
      usedPostcopy: input.usedPostcopy,
      destinationRan: input.destinationRan(),
      guestPaused: input.guestPaused,
      because: input.because,
    });
    if (typeof verdict === 'object') return verdict;
    const overdue = clock.nowMs() >= deadlineMs;
    try {
      if (verdict === 'resume-destination') await input.destination?.execute('cont', undefined, options);
      // QEMU resumes a failed source by itself; give it the time to.
      if (verdict === 'resume-source' && (overdue || input.guestPaused))
        await input.source.execute('cont', undefined, options);
    } catch {
      // The next question shows what came of it.
    }
    if (overdue && verdict !== 'resume-source') {
      return {
        kind: 'unknown',
        reason: `source: ${describe(source)}; destination: ${describe(destination)}`,
      };
    }
    if (clock.nowMs() >= deadlineMs + input.timeoutMs) {
      return {
        kind: 'unknown',
        reason: `source: ${describe(source)}; destination: ${describe(destination)}`,
      };
    }
    await clock.sleep(20);
  }
}

function describe(state: EndState): string {
  if (state.kind === 'dead') return 'its QEMU has ended';
  if (state.kind === 'silent') return `no answer (${state.why})`;
  return `${state.runStatus}, migration ${state.migration}`;
}
