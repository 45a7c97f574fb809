// SPDX-License-Identifier: Apache-2.0
// The sidecar beside a VM: waits for a migration that anybody starts, controls that one with what its starter enabled,
// gives everything back and waits for the next. Never cancels what others started: interrupted, it lets go.

import { Settings } from '../act/index.ts';
import { type Clock, systemClock } from '../common/index.ts';
import type { Outcome, PolicyContext } from '../model/index.ts';
import { canSampleDirtyPages, isFinal, readMigrationInfo } from '../observe/index.ts';
import { createTrace, nullRecorder } from '../record/index.ts';
import { Custody } from './custody.ts';
import { type Endpoint, openEndpoint, QUERY_TIMEOUT_MS, versionText } from './endpoint.ts';
import { ControlLoop } from './loop.ts';
import { Mailbox } from './mailbox.ts';
import { type MigrateDeps, readSendQueueBytes } from './migrate.ts';
import { losesTcgWrites } from './preflight.ts';
import { restoreAbandoned } from './restore.ts';
import { traceHeader } from './trace-header.ts';
import type { AttachOptions } from './types.ts';
import { type EventLog, stopToResume, watchEnd, type WatchMessage } from './watch.ts';

export interface AttachDeps extends MigrateDeps {
  /** After each migration. */
  readonly onOutcome: (outcome: Outcome) => void;
}

/** How often a QEMU whose events we may not switch on is asked whether a migration has begun. */
const IDLE_POLL_MS = 500;

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
    const canSample = options.mode !== 'observe' && canSampleDirtyPages(schema);
    custody = Custody.open(ends, { insecure: options.insecure, program: deps.program, ...directory(deps) });
    const settings = await Settings.read(source.client, 'source', custody.journal);
    for (;;) {
      const hasEvents = await enableEvents(settings, source, options);
      deps.reporter.note(`attached to ${options.source}: waiting for a migration`);
      const began = await waitForMigration(source, hasEvents, clock, deps.signal);
      if (began !== 'migration') {
        if (began === 'gone') deps.reporter.note('the VM has ended');
        return last;
      }
      last = await controlOne(source, ends[1] ?? null, custody, settings, options, deps, clock, canSample);
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

function directory(deps: AttachDeps): { directory?: string } {
  return deps.directory === undefined ? {} : { directory: deps.directory };
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

/** One migration, from the moment it is seen to its end. */
async function controlOne(
  source: Endpoint,
  destination: Endpoint | null,
  custody: Custody,
  settings: Settings,
  options: AttachOptions,
  deps: AttachDeps,
  clock: Clock,
  canSample: boolean,
): Promise<Outcome> {
  const startMs = clock.nowMs();
  const startedAtMs = clock.wallMs();
  // What its starter set between our last look and now is the baseline, not a foreign change.
  await settings.rebase();
  const context: PolicyContext = {
    objective: options.objective,
    postcopyReady: settings.capability('postcopy-ram') && options.objective.postcopy !== 'forbidden',
    preemptReady: settings.capability('postcopy-preempt'),
    parameters: settings.parameters,
    sendQueueBytes: readSendQueueBytes(),
  };
  const initial = options.policy.init(context);
  const recorder =
    options.tracePath === null
      ? nullRecorder()
      : createTrace(
          options.once ? options.tracePath : `${options.tracePath}.${startedAtMs}`,
          traceHeader(options, versionText(source.version), startedAtMs),
        );
  const mailbox = new Mailbox<WatchMessage>(clock);
  const log: EventLog = { stop: null, resume: null, completed: null };
  const watching = new AbortController();
  watchEnd('source', source.client, log, mailbox, recorder, () => startMs, watching.signal);
  if (destination !== null) {
    watchEnd('destination', destination.client, log, mailbox, recorder, () => startMs, watching.signal);
  }
  const interrupt = (): void => mailbox.push({ kind: 'interrupt' });
  deps.signal?.addEventListener('abort', interrupt);
  try {
    for (const action of initial.actions) {
      const carriedOut = options.mode === 'enforce' && action.kind === 'set-parameters';
      if (carriedOut) await settings.set(action.change);
      recorder.action(clock.nowMs() - startMs, action, carriedOut);
      deps.reporter.decision(action, carriedOut);
    }
    const result = await new ControlLoop({
      source: source.client,
      destination: destination?.client ?? null,
      settings,
      mailbox,
      clock,
      recorder,
      reporter: deps.reporter,
      options,
      context,
      initial,
      startMs,
      canSample,
      hasResumed: () => (destination === null ? null : log.resume !== null),
      undoParameters: async () => {
        await custody.undo();
      },
      onInterrupt: 'let-go',
    }).run();
    const outcome: Outcome = {
      ...(await concludeFromSource(source, result.endedBecause)),
      command: null,
      interrupted: result.interrupted,
      tmtMs: log.completed === null ? null : log.completed.receivedMs - startMs,
      stopToResume: stopToResume(log, true, 0),
      usedPostcopy: result.usedPostcopy,
      forecastDowntimeMs: result.forecastDowntimeMs,
      notRestored: await custody.undo(),
    };
    recorder.outcome(clock.nowMs() - startMs, outcome);
    return outcome;
  } finally {
    watching.abort();
    deps.signal?.removeEventListener('abort', interrupt);
    recorder.close();
  }
}

/** What the source alone can say; the destination is its starter's to look after. */
async function concludeFromSource(
  source: Endpoint,
  because: string | null,
): Promise<
  Pick<Outcome, 'kind' | 'reason' | 'qemuTotalMs' | 'qemuDowntimeMs' | 'transferredBytes' | 'rounds'>
> {
  const none = { qemuTotalMs: null, qemuDowntimeMs: null, transferredBytes: null, rounds: null };
  if (source.client.state !== 'running') {
    return { kind: 'unknown', reason: 'the source ended, or its monitor was taken away', ...none };
  }
  const options = { timeoutMs: QUERY_TIMEOUT_MS };
  let info = readMigrationInfo(await source.client.execute('query-migrate', undefined, options));
  for (let attempt = 0; attempt < 20 && !isFinal(info); attempt++) {
    info = readMigrationInfo(await source.client.execute('query-migrate', undefined, options));
  }
  if (info.status === 'completed') {
    return {
      kind: 'completed',
      reason: 'the source has handed its guest over',
      qemuTotalMs: info.totalMs,
      qemuDowntimeMs: info.downtimeMs,
      transferredBytes: info.transferredBytes,
      rounds: info.round,
    };
  }
  if (info.status.startsWith('postcopy')) {
    return { kind: 'postcopy-paused', reason: because ?? 'post-copy was interrupted', ...none };
  }
  const run = await source.client.execute('query-status', undefined, options);
  if (run.running) {
    return {
      kind: 'source-running',
      reason: because ?? info.errorText ?? `migration ${info.status}`,
      ...none,
    };
  }
  return { kind: 'unknown', reason: `source: ${run.status}, migration ${info.status}`, ...none };
}
