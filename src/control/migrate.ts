// SPDX-License-Identifier: Apache-2.0
// A whole migration: preflight, settings on both ends, the migrate command, the control loop, the ending, and
// everything put back. The guest runs in exactly one place when this returns.

import { readFileSync } from 'node:fs';
import { type RawParameters, readCapabilities, Settings } from '../act/index.ts';
import { type Clock, RefusedError, systemClock } from '../common/index.ts';
import type { Outcome, PolicyContext, PolicyStep } from '../model/index.ts';
import { canSampleDirtyPages } from '../observe/index.ts';
import { type QmpClient, QmpCommandError, type QmpSchema } from '../qmp/index.ts';
import { createTrace, nullRecorder, type Recorder } from '../record/index.ts';
import { conclude } from './conclude.ts';
import { Custody, type CustodyOptions } from './custody.ts';
import {
  type Endpoint,
  type EndpointOptions,
  openEndpoint,
  QUERY_TIMEOUT_MS,
  shareClock,
  versionText,
} from './endpoint.ts';
import { armForRecovery, quit, readFinal, reasonOfEnding } from './last-words.ts';
import { ControlLoop } from './loop.ts';
import { Mailbox } from './mailbox.ts';
import { checkUri, preflightDestination, preflightSource } from './preflight.ts';
import { restoreAbandoned } from './restore.ts';
import { traceHeader } from './trace-header.ts';
import type { MigrateOptions, Reporter } from './types.ts';
import { type EventLog, stopToResume, watchEnd, type WatchMessage } from './watch.ts';

export interface MigrateDeps extends Omit<CustodyOptions, 'insecure'> {
  readonly clock?: Clock;
  readonly reporter: Reporter;
  /** Interrupts: in pre-copy the migration is cancelled. */
  readonly signal?: AbortSignal;
}

const CONCLUDE_TIMEOUT_MS = 20_000;

/** Linux' default limit of a TCP socket's send buffer: how much may wait ahead of anything urgent. */
const DEFAULT_SEND_QUEUE_BYTES = 4 * 1024 * 1024;

/** The largest send buffer on this host; the default where it cannot be read. */
export function readSendQueueBytes(): number {
  try {
    const [, , largest] = readFileSync('/proc/sys/net/ipv4/tcp_wmem', 'utf8').trim().split(/\s+/).map(Number);
    return largest ?? DEFAULT_SEND_QUEUE_BYTES;
  } catch {
    return DEFAULT_SEND_QUEUE_BYTES;
  }
}

/** Migrates. @throws RefusedError, QmpError or JournalLockedError while nothing has been changed yet */
export async function migrate(options: MigrateOptions, deps: MigrateDeps): Promise<Outcome> {
  const clock = deps.clock ?? systemClock;
  checkUri(options.uri);
  for (const report of await restoreAbandoned(deps.directory)) {
    for (const text of report.restored) deps.reporter.note(`restored after a killed controller: ${text}`);
  }
  const endpointOptions: EndpointOptions = { insecure: options.insecure, clock };
  const source = await openEndpoint('source', options.source, endpointOptions);
  let destination: Endpoint;
  try {
    destination = await openEndpoint('destination', options.destination, endpointOptions);
  } catch (error) {
    await source.client.close();
    throw error;
  }
  try {
    return await migrateBetween(source, destination, options, deps, clock);
  } finally {
    await Promise.all([source.client.close(), destination.client.close()]);
  }
}

async function migrateBetween(
  source: Endpoint,
  destination: Endpoint,
  options: MigrateOptions,
  deps: MigrateDeps,
  clock: Clock,
): Promise<Outcome> {
  await preflightSource(source);
  await preflightDestination(source, destination);
  const postcopyReady = await checkPostcopy(source, destination, options, deps.reporter);
  const schema = await source.client.readSchema();
  const destinationSchema = await destination.client.readSchema();
  const recorder =
    options.tracePath === null
      ? nullRecorder()
      : createTrace(options.tracePath, traceHeader(options, versionText(source.version), clock.wallMs()));

  const custody = openCustody(source, destination, options, deps, recorder);
  let notRestored: string[] = [];
  let outcome: Outcome;
  try {
    const prepared = await prepare(source, destination, custody, options, postcopyReady, destinationSchema);
    outcome = await runMigration(
      source,
      destination,
      custody,
      prepared,
      schema,
      options,
      deps,
      clock,
      recorder,
    );
  } finally {
    notRestored = await custody.close();
    for (const text of notRestored) deps.reporter.note(`not restored: ${text}`);
    if (recorder.failure !== null) deps.reporter.note(`the trace is incomplete: ${recorder.failure}`);
    recorder.close();
  }
  return { ...outcome, notRestored };
}

function openCustody(
  source: Endpoint,
  destination: Endpoint,
  options: MigrateOptions,
  deps: MigrateDeps,
  recorder: Recorder,
): Custody {
  try {
    return Custody.open([source, destination], {
      insecure: options.insecure,
      program: deps.program,
      ...(deps.directory === undefined ? {} : { directory: deps.directory }),
    });
  } catch (error) {
    recorder.close();
    throw error;
  }
}

/** Whether post-copy can be used, said where it was wished for and cannot. @throws RefusedError where it is required */
async function checkPostcopy(
  source: Endpoint,
  destination: Endpoint,
  options: MigrateOptions,
  reporter: Reporter,
): Promise<boolean> {
  const { postcopy } = options.objective;
  if (postcopy === 'forbidden') return false;
  const [here, there] = await Promise.all([
    readCapabilities(source.client),
    readCapabilities(destination.client),
  ]);
  const why = !here.has('postcopy-ram')
    ? 'the source does not offer it'
    : !there.has('postcopy-ram')
      ? 'the destination does not offer it'
      : here.get('multifd') === true
        ? 'multifd is on'
        : null;
  if (why === null) return true;
  if (postcopy === 'required') {
    throw new RefusedError(`post-copy is required, but ${why}`, { remedy: 'leave --require-postcopy out' });
  }
  reporter.note(`pre-copy only: post-copy cannot be used, ${why}`);
  return false;
}

interface Prepared {
  readonly settings: Settings;
  readonly context: PolicyContext;
  readonly initial: PolicyStep<unknown>;
}

/** Sets both ends up, destination first: it is the one that may refuse (userfaultfd). */
async function prepare(
  source: Endpoint,
  destination: Endpoint,
  custody: Custody,
  options: MigrateOptions,
  postcopyReady: boolean,
  destinationSchema: QmpSchema,
): Promise<Prepared> {
  const [settings, there] = await Promise.all([
    Settings.read(source.client, 'source', custody.journal),
    Settings.read(destination.client, 'destination', custody.journal),
  ]);
  // return-path always: without it a destination that fails to load leaves the source `completed` and the guest gone.
  const capabilities = ['events', 'return-path'];
  if (postcopyReady) capabilities.push('postcopy-ram');
  const preemptReady =
    postcopyReady &&
    settings.offersCapability('postcopy-preempt') &&
    there.offersCapability('postcopy-preempt');
  if (preemptReady) capabilities.push('postcopy-preempt');
  try {
    await there.enable(capabilities);
    await settings.enable(capabilities);
    await setTls(settings, there, options);
    if (options.bandwidthBytesPerSec !== null) {
      await settings.set({ maxBandwidthBytesPerSec: options.bandwidthBytesPerSec });
    }
    const exitOnError = destinationSchema.commandHasArgument('migrate-incoming', 'exit-on-error')
      ? { 'exit-on-error': false }
      : {};
    await destination.client.execute(
      'migrate-incoming',
      { uri: options.uri, ...exitOnError },
      { timeoutMs: QUERY_TIMEOUT_MS },
    );
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    throw new RefusedError(`QEMU refused to be prepared: ${error.message}`, {
      cause: error,
      remedy: 'everything set so far is put back; see the reason that QEMU gave',
    });
  }
  const context: PolicyContext = {
    objective: options.objective,
    postcopyReady,
    preemptReady,
    parameters: settings.parameters,
    sendQueueBytes: readSendQueueBytes(),
  };
  return { settings, context, initial: options.policy.init(context) };
}

async function setTls(source: Settings, destination: Settings, options: MigrateOptions): Promise<void> {
  if (options.tlsCreds === null) return;
  const creds: RawParameters = { 'tls-creds': options.tlsCreds };
  await destination.setRaw(creds);
  await source.setRaw(
    options.tlsHostname === null ? creds : { ...creds, 'tls-hostname': options.tlsHostname },
  );
}

async function runMigration(
  source: Endpoint,
  destination: Endpoint,
  custody: Custody,
  prepared: Prepared,
  schema: QmpSchema,
  options: MigrateOptions,
  deps: MigrateDeps,
  clock: Clock,
  recorder: Recorder,
): Promise<Outcome> {
  const { settings, context, initial } = prepared;
  const mailbox = new Mailbox<WatchMessage>(clock);
  const log: EventLog = { stop: null, resume: null, completed: null };
  const watching = new AbortController();
  let startMs = clock.nowMs();
  for (const { end, client } of [source, destination]) {
    watchEnd(end, client, log, mailbox, recorder, () => startMs, watching.signal);
  }
  const interrupt = (): void => mailbox.push({ kind: 'interrupt' });
  deps.signal?.addEventListener('abort', interrupt);
  try {
    if (options.mode === 'enforce') {
      for (const action of initial.actions) {
        if (action.kind === 'set-parameters') await settings.set(action.change);
        deps.reporter.decision(action, true);
      }
    }
    startMs = clock.nowMs();
    for (const action of initial.actions) recorder.action(0, action, options.mode === 'enforce');
    const roundTripMs = await measureRoundTrip(source.client, destination.client, clock);
    startMs = clock.nowMs();
    await source.client.execute('migrate', { uri: options.uri }, { timeoutMs: QUERY_TIMEOUT_MS });
    const loop = new ControlLoop({
      source: source.client,
      destination: destination.client,
      settings,
      mailbox,
      clock,
      recorder,
      reporter: deps.reporter,
      options,
      context,
      initial,
      startMs,
      canSample: canSampleDirtyPages(schema),
      hasResumed: () => log.resume !== null,
      undoParameters: async () => {
        await custody.undo();
      },
      onInterrupt: 'cancel',
    });
    const result = await loop.run();
    const conclusion = await conclude({
      source: source.client,
      sourceAddress: source.address,
      destination: destination.client,
      destinationAddress: destination.address,
      usedPostcopy: result.usedPostcopy,
      destinationRan: () => log.resume !== null,
      because: await reasonOfEnding(result, destination.client),
      clock,
      timeoutMs: CONCLUDE_TIMEOUT_MS,
    });
    if (conclusion.kind === 'postcopy-paused') {
      await armForRecovery(destination.client, options.uri, clock, deps.reporter);
    }
    const completed = conclusion.kind === 'completed';
    const final = await readFinal(source.client, clock);
    const outcome: Outcome = {
      ...conclusion,
      command: recoveryCommand(conclusion.kind, options),
      interrupted: result.interrupted && !completed,
      tmtMs: completed ? (log.completed?.receivedMs ?? clock.nowMs()) - startMs : null,
      qemuTotalMs: completed ? (final?.totalMs ?? null) : null,
      qemuDowntimeMs: completed ? (final?.downtimeMs ?? null) : null,
      stopToResume: completed
        ? stopToResume(log, shareClock(source.address, destination.address), roundTripMs)
        : null,
      transferredBytes: completed ? (final?.transferredBytes ?? null) : null,
      rounds: completed ? (final?.round ?? result.last?.round ?? null) : null,
      usedPostcopy: result.usedPostcopy,
      forecastDowntimeMs: result.forecastDowntimeMs,
      notRestored: [],
    };
    recorder.outcome(clock.nowMs() - startMs, outcome);
    if (completed && options.quitSource && log.resume !== null) await quit(source.client, deps.reporter);
    return outcome;
  } finally {
    watching.abort();
    deps.signal?.removeEventListener('abort', interrupt);
  }
}

/** The slower of both ends' round trips: what a receive time can be late by. */
async function measureRoundTrip(a: QmpClient, b: QmpClient, clock: Clock): Promise<number> {
  const times = await Promise.all(
    [a, b].map(async (client) => {
      const startMs = clock.nowMs();
      await client.execute('query-status', undefined, { timeoutMs: QUERY_TIMEOUT_MS });
      return clock.nowMs() - startMs;
    }),
  );
  return Math.max(...times);
}

function recoveryCommand(kind: Outcome['kind'], options: MigrateOptions): string | null {
  const ends = `--qmp ${options.source} --dest-qmp ${options.destination}`;
  if (kind === 'postcopy-paused') return `slackwater recover ${ends} --to ${options.uri}`;
  if (kind === 'unknown') return `slackwater status ${ends}`;
  return null;
}
