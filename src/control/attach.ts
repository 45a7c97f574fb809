// SPDX-License-Identifier: Apache-2.0
// The sidecar beside a VM: waits for a migration that anybody starts, controls that one with what its starter enabled,
// gives everything back and waits for the next. Never cancels what others started: interrupted, it lets go.

import { hasPageLevers, type SendQueue, Settings } from '../act/index.ts';
import { type Clock, systemClock } from '../common/index.ts';
import { type Outcome, type PolicyContext, SWITCHOVER_MS } from '../model/index.ts';
import { canSampleDirtyPages, readMigrationInfo } from '../observe/index.ts';
import type { QmpSchema } from '../qmp/index.ts';
import { createTrace, nullRecorder } from '../record/index.ts';
import { Custody } from './custody.ts';
import {
  type Endpoint,
  measureRoundTrip,
  openEndpoint,
  QUERY_TIMEOUT_MS,
  shareClock,
  versionText,
} from './endpoint.ts';
import { readFinal } from './last-words.ts';
import type { MigrateDeps } from './migrate.ts';
import { openSendQueue, readSendQueueBytes } from './open-send-queue.ts';
import { readMemoryBytes } from './machine.ts';
import { losesTcgWrites } from './preflight.ts';
import { restoreAbandoned } from './restore.ts';
import { supervise, type Supervision } from './supervise.ts';
import { traceHeader } from './trace-header.ts';
import type { AttachOptions } from './types.ts';
import { stopToResume } from './watch.ts';

export interface AttachDeps extends MigrateDeps {
  /** After each migration. */
  readonly onOutcome: (outcome: Outcome) => void;
}

/** How often a QEMU whose events we may not switch on is asked whether a migration has begun. */
const IDLE_POLL_MS = 500;

/** So long at most a migration that has begun is looked at for the connection that carries it. */
const STREAM_WITHIN_MS = 1000;
const STREAM_POLL_MS = 10;
/** Of fewer bytes other connections may have been given as many. */
const LEAST_SENT_BYTES = 1_000_000;

/** What stays the same from one migration of the VM to the next. */
interface Attached {
  readonly source: Endpoint;
  readonly destination: Endpoint | null;
  readonly custody: Custody;
  readonly options: AttachOptions;
  readonly deps: AttachDeps;
  readonly clock: Clock;
  readonly schema: QmpSchema;
}

/** Stays until the VM ends, `signal` is aborted, or (`once`) one migration is over. Returns the last outcome. */
export async function attach(options: AttachOptions, deps: AttachDeps): Promise<Outcome | null> {
  const clock = deps.clock ?? systemClock;
  await restoreAbandoned(deps.directory);
  const source = await openEndpoint('source', options.source, { insecure: options.insecure, clock });
  const ends: Endpoint[] = [source];
  let custody: Custody | null = null;
  let last: Outcome | null = null;
  try {
    if (options.destination !== null) {
      ends.push(
        await openEndpoint('destination', options.destination, { insecure: options.insecure, clock }),
      );
    }
    if (!source.kvm && losesTcgWrites(source.version)) {
      deps.reporter.note(`QEMU ${versionText(source.version)} under TCG loses guest writes when it migrates`);
    }
    const schema = await source.client.readSchema();
    custody = Custody.open(ends, { insecure: options.insecure, ...deps });
    const settings = await Settings.read(source.client, 'source', custody.journal);
    for (;;) {
      const hasEvents = await enableEvents(settings, source, options);
      // Before a migration: its connections are told apart from those that are there already.
      const mayPostcopy = options.mode !== 'observe' && options.objective.postcopy !== 'forbidden';
      const sendQueue = openSendQueue(source, { port: null, mayPostcopy, schema }, deps.reporter);
      deps.reporter.note(`attached to ${options.source}: waiting for a migration`);
      const began = await waitForMigration(source, hasEvents, clock, deps.signal);
      if (began !== 'migration') {
        if (began === 'gone') deps.reporter.note('the VM has ended');
        return last;
      }
      last = await controlOne(
        { source, destination: ends[1] ?? null, custody, options, deps, clock, schema },
        settings,
        sendQueue,
      );
      deps.onOutcome(last);
      if (options.once || deps.signal?.aborted === true) return last;
    }
  } finally {
    if (custody !== null) {
      for (const text of await custody.close()) deps.reporter.note(`not restored: ${text}`);
    }
    for (const { client } of ends) await client.close();
  }
}

async function enableEvents(settings: Settings, source: Endpoint, options: AttachOptions): Promise<boolean> {
  await settings.rebase();
  if (settings.capability('events')) return true;
  if (options.mode === 'observe' || (await isMigrating(source))) return false;
  await settings.enable(['events']);
  return true;
}

async function isMigrating(source: Endpoint): Promise<boolean> {
  const reply = await source.client.execute('query-migrate', undefined, { timeoutMs: QUERY_TIMEOUT_MS });
  return ['setup', 'active', 'device', 'pre-switchover', 'postcopy-active', 'wait-unplug'].includes(
    reply.status ?? 'none',
  );
}

async function waitForMigration(
  source: Endpoint,
  hasEvents: boolean,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<'migration' | 'gone' | 'interrupted'> {
  const stream = source.client.events(['MIGRATION'], signal === undefined ? {} : { signal });
  try {
    for (;;) {
      if (source.client.state !== 'running') return 'gone';
      if (await isMigrating(source)) return 'migration';
      if (hasEvents) {
        const event = await stream.next();
        if (event.done === true) return 'gone';
      } else {
        await clock.sleep(IDLE_POLL_MS, signal);
      }
    }
  } catch (error) {
    if (signal?.aborted === true) return 'interrupted';
    if (source.client.state !== 'running') return 'gone';
    throw error;
  } finally {
    stream.close();
  }
}

/** Whether the migration that has just begun goes over a connection of QEMU's whose queue can be made short. */
async function hasStream({ source, clock, deps }: Attached, sendQueue: SendQueue): Promise<boolean> {
  const untilMs = clock.nowMs() + STREAM_WITHIN_MS;
  while (deps.signal?.aborted !== true && clock.nowMs() < untilMs) {
    const options = { timeoutMs: QUERY_TIMEOUT_MS };
    const info = readMigrationInfo(await source.client.execute('query-migrate', undefined, options));
    const sentBytes = info.transferredBytes ?? 0;
    if (sentBytes >= LEAST_SENT_BYTES && sendQueue.hasStream(sentBytes)) return true;
    // Under way without one: over a UNIX socket, or begun before we came.
    if (info.status !== 'setup' && !sendQueue.mayHaveStream()) return false;
    await clock.sleep(STREAM_POLL_MS);
  }
  return false;
}

/** One migration, from the moment it is seen to its end, or until we let it go. */
async function controlOne(
  attached: Attached,
  settings: Settings,
  itsQueue: SendQueue | null,
): Promise<Outcome> {
  const { source, destination, custody, options, deps, clock, schema } = attached;
  // What its starter set between our last look and now is the baseline, not a foreign change.
  await settings.rebase();
  const postcopyReady = settings.capability('postcopy-ram') && options.objective.postcopy !== 'forbidden';
  const isShort = postcopyReady && itsQueue !== null && (await hasStream(attached, itsQueue));
  const sendQueue = isShort ? itsQueue : null;
  const context: PolicyContext = {
    objective: options.objective,
    memoryBytes: await readMemoryBytes(source.client),
    postcopyReady,
    preemptReady: settings.capability('postcopy-preempt'),
    parameters: settings.parameters,
    switchoverMs: SWITCHOVER_MS,
    sendQueueBytes: readSendQueueBytes(),
    shortensQueue: sendQueue !== null,
    pacesPostcopy: hasPageLevers(schema),
    linkBytesPerSec: options.linkBytesPerSec,
    profile: null,
    pages: null,
  };
  const startedAtMs = clock.wallMs();
  const recorder =
    options.tracePath === null
      ? nullRecorder()
      : createTrace(
          options.once ? options.tracePath : `${options.tracePath}.${startedAtMs}`,
          traceHeader(options, versionText(source.version), startedAtMs),
        );
  const supervision: Supervision = {
    source,
    destination,
    settings,
    context,
    options,
    recorder,
    clock,
    canSample: options.mode !== 'observe' && canSampleDirtyPages(schema),
    reporter: deps.reporter,
    journal: custody.journal,
    // Its starter's migration is under way: what would have to be known before it is not.
    pages: null,
    sendQueue,
    signal: deps.signal,
    undoParameters: async () => {
      await custody.undo();
    },
    onInterrupt: 'let-go',
    begin: () => Promise.resolve(),
  };
  const roundTripMs = destination === null ? 0 : await measureRoundTrip(source, destination, clock);
  const sameClock = destination === null || shareClock(source.address, destination.address);
  try {
    return await supervise(supervision, async ({ result, log, startMs, startedAtMs: beganAtMs }) => {
      const ending = result.letGo ? letGo(options) : await concludeFromSource(attached, result.endedBecause);
      const outcome: Outcome = {
        ...ending,
        interrupted: result.letGo,
        givenUp: result.givenUp,
        startedAtMs: beganAtMs,
        waitedMs: 0,
        tmtMs: log.completed === null ? null : log.completed.receivedMs - startMs,
        stopToResume: stopToResume(log, sameClock, roundTripMs),
        usedPostcopy: result.usedPostcopy,
        forecastDowntimeMs: result.forecastDowntimeMs,
        notRestored: await custody.undo(),
      };
      recorder.outcome(clock.nowMs() - startMs, outcome);
      return outcome;
    });
  } finally {
    recorder.close();
  }
}

type Ending = Pick<
  Outcome,
  'kind' | 'reason' | 'command' | 'qemuTotalMs' | 'qemuDowntimeMs' | 'transferredBytes' | 'rounds'
>;

const NO_FIGURES = { qemuTotalMs: null, qemuDowntimeMs: null, transferredBytes: null, rounds: null };

/** The migration goes on as its starter wanted it: how it will end is not known. */
function letGo(options: AttachOptions): Ending {
  return {
    kind: 'unknown',
    reason: 'let go on request: the migration goes on with the settings of who started it',
    command: `slackwater status --qmp ${options.source}`,
    ...NO_FIGURES,
  };
}

/** What the source alone can say; the destination is its starter's to look after. */
async function concludeFromSource(
  { source, options, clock }: Attached,
  because: string | null,
): Promise<Ending> {
  const none = { command: null, ...NO_FIGURES };
  const info = await readFinal(source.client, clock);
  if (info === null) {
    return { kind: 'unknown', reason: 'the source ended, or its monitor was taken away', ...none };
  }
  if (info.status === 'completed') {
    return {
      kind: 'completed',
      reason: 'the source has handed its guest over',
      command: null,
      qemuTotalMs: info.totalMs,
      qemuDowntimeMs: info.downtimeMs,
      transferredBytes: info.transferredBytes,
      rounds: info.round,
    };
  }
  if (info.status.startsWith('postcopy')) {
    return {
      kind: 'postcopy-paused',
      reason: because ?? 'post-copy was interrupted',
      // Where the destination is and listens, only its starter knows.
      command: `slackwater recover --qmp ${options.source} --dest-qmp ${options.destination ?? 'DESTINATION'} --to URI`,
      ...NO_FIGURES,
    };
  }
  const run = await source.client.execute('query-status', undefined, { timeoutMs: QUERY_TIMEOUT_MS });
  if (run.running) {
    return {
      kind: 'source-running',
      reason: because ?? info.errorText ?? `migration ${info.status}`,
      ...none,
    };
  }
  return { kind: 'unknown', reason: `source: ${run.status}, migration ${info.status}`, ...none };
}
