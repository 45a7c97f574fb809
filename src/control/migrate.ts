// SPDX-License-Identifier: Apache-2.0
// A whole migration: preflight, settings on both ends, the migrate command, the control loop, the ending, and
// everything put back. The guest runs in exactly one place when this returns.

import {
  forgetPause,
  hasPageLevers,
  hasPausedGuest,
  type RawParameters,
  readCapabilities,
  type SendQueue,
  Settings,
} from '../act/index.ts';
import { type Clock, RefusedError, systemClock } from '../common/index.ts';
import { type Outcome, type PolicyCapability, type PolicyContext, SWITCHOVER_MS } from '../model/index.ts';
import { canSampleDirtyPages } from '../observe/index.ts';
import { takeProfile } from './profile.ts';
import { QmpCommandError, type QmpSchema } from '../qmp/index.ts';
import { createTrace, nullRecorder, type Recorder } from '../record/index.ts';
import { conclude } from './conclude.ts';
import { Custody, type CustodyOptions } from './custody.ts';
import {
  type Endpoint,
  type EndpointOptions,
  measureRoundTrip,
  openEndpoint,
  QUERY_TIMEOUT_MS,
  shareClock,
  versionText,
} from './endpoint.ts';
import { armForRecovery, quit, readFinal, reasonOfEnding } from './last-words.ts';
import { readMemoryBytes } from './machine.ts';
import type { LoopDeps } from './loop.ts';
import { openSendQueue, readSendQueueBytes } from './open-send-queue.ts';
import { againstLevers } from './levers-refused.ts';
import { PageControl } from './page-control.ts';
import { checkUri, preflightDestination, preflightSource } from './preflight.ts';
import { restoreAbandoned } from './restore.ts';
import { supervise, type SupervisedRun } from './supervise.ts';
import { traceHeader } from './trace-header.ts';
import type { MigrateOptions, Reporter } from './types.ts';
import { stopToResume } from './watch.ts';

export interface MigrateDeps extends Omit<CustodyOptions, 'insecure'> {
  readonly clock?: Clock;
  readonly reporter: Reporter;
  /** Interrupts: in pre-copy the migration is cancelled. */
  readonly signal?: AbortSignal;
  /** Whether what killed controllers left is put back first; true when absent. */
  readonly restoresFirst?: boolean;
  /** Called once all is prepared: the migration begins when it resolves, and never where it rejects. Absent: at once. */
  readonly gate?: () => Promise<void>;
}

const CONCLUDE_TIMEOUT_MS = 20_000;

/** How long the guest's pages are looked at before the migration, where QEMU shows them. */
const WATCH_MS = 1500;

/** What is known once both ends are connected. */
interface Ends {
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly options: MigrateOptions;
  readonly deps: MigrateDeps;
  readonly clock: Clock;
}

/** And once our hand is on them. */
interface Held extends Ends {
  readonly custody: Custody;
  /** To be enabled on both ends. */
  readonly capabilities: readonly PolicyCapability[];
  readonly sourceSchema: QmpSchema;
  readonly destinationSchema: QmpSchema;
  readonly recorder: Recorder;
}

/** Migrates. @throws RefusedError, QmpError or JournalLockedError while nothing has been changed yet */
export async function migrate(options: MigrateOptions, deps: MigrateDeps): Promise<Outcome> {
  const clock = deps.clock ?? systemClock;
  checkUri(options.uri);
  const abandoned = deps.restoresFirst === false ? [] : await restoreAbandoned(deps.directory);
  for (const report of abandoned) {
    for (const text of report.restored) deps.reporter.note(`restored after a killed controller: ${text}`);
  }
  return await withEnds(options, deps, clock, migrateBetween);
}

/** Refuses what `migrate` would refuse before it changes anything, and changes nothing itself. @throws as `migrate` */
export async function checkMigration(options: MigrateOptions, deps: MigrateDeps): Promise<void> {
  checkUri(options.uri);
  await withEnds(options, deps, deps.clock ?? systemClock, async (ends) => {
    await preflightSource(ends.source);
    await preflightDestination(ends.source, ends.destination);
    await checkCapabilities(ends);
  });
}

async function withEnds<T>(
  options: MigrateOptions,
  deps: MigrateDeps,
  clock: Clock,
  use: (ends: Ends) => Promise<T>,
): Promise<T> {
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
    return await use({ source, destination, options, deps, clock });
  } finally {
    await Promise.all([source.client.close(), destination.client.close()]);
  }
}

async function migrateBetween(ends: Ends): Promise<Outcome> {
  const { source, destination, options, deps, clock } = ends;
  await preflightSource(source);
  await preflightDestination(source, destination);
  const capabilities = await checkCapabilities(ends);
  const [sourceSchema, destinationSchema] = await Promise.all([
    source.client.readSchema(),
    destination.client.readSchema(),
  ]);
  const recorder =
    options.tracePath === null
      ? nullRecorder()
      : createTrace(options.tracePath, traceHeader(options, versionText(source.version), clock.wallMs()));
  try {
    const custody = Custody.open([source, destination], { insecure: options.insecure, ...deps });
    let notRestored: string[] = [];
    let outcome: Outcome;
    try {
      outcome = await migrateHeld({
        ...ends,
        custody,
        capabilities,
        sourceSchema,
        destinationSchema,
        recorder,
      });
    } finally {
      notRestored = await custody.close();
      for (const text of notRestored) deps.reporter.note(`not restored: ${text}`);
    }
    return { ...outcome, notRestored };
  } finally {
    if (recorder.failure !== null) deps.reporter.note(`the trace is incomplete: ${recorder.failure}`);
    recorder.close();
  }
}

const WITH_POSTCOPY: readonly PolicyCapability[] = ['postcopy-ram', 'postcopy-preempt'];

/**
 * What of the policy's wishes is to be enabled. Post-copy that is merely wished for is left out where it cannot be had, and
 * that is said. @throws RefusedError where it is required, or something else is not offered
 */
async function checkCapabilities({ source, destination, options, deps }: Ends): Promise<PolicyCapability[]> {
  const { policy, objective } = options;
  const wanted = policy.capabilities ?? WITH_POSTCOPY;
  const [here, there] = await Promise.all([
    readCapabilities(source.client),
    readCapabilities(destination.client),
  ]);
  const lacking = (name: string): string | null =>
    !here.has(name)
      ? 'the source does not offer it'
      : !there.has(name)
        ? 'the destination does not offer it'
        : null;
  const others = wanted.filter((name) => !name.startsWith('postcopy'));
  for (const name of others) {
    const why = lacking(name);
    if (why !== null) {
      throw new RefusedError(`the policy ${policy.name} needs ${name}: ${why}`, {
        remedy: 'take another policy',
      });
    }
  }
  if (objective.postcopy === 'forbidden') return others;
  const why = !wanted.includes('postcopy-ram')
    ? `the policy ${policy.name} does not use it`
    : (lacking('postcopy-ram') ?? (here.get('multifd') === true ? 'multifd is on' : null));
  if (why === null) {
    return wanted.filter((name) => name !== 'postcopy-preempt' || lacking(name) === null);
  }
  if (objective.postcopy === 'required') {
    throw new RefusedError(`post-copy is required, but ${why}`, { remedy: 'leave --require-postcopy out' });
  }
  if (wanted.includes('postcopy-ram')) {
    deps.reporter.note(`pre-copy only: post-copy cannot be used, ${why}`);
  }
  return others;
}

/** Sets both ends up, destination first: it is the one that may refuse (userfaultfd). */
async function prepare(
  held: Held,
  pages: PageControl | null,
  sendQueue: SendQueue | null,
): Promise<{ settings: Settings; context: PolicyContext }> {
  const { source, destination, custody, options } = held;
  const [settings, there] = await Promise.all([
    Settings.read(source.client, 'source', custody.journal),
    Settings.read(destination.client, 'destination', custody.journal),
  ]);
  // return-path always: without it a destination that fails to load leaves the source `completed` and the guest gone.
  const capabilities = ['events', 'return-path', ...held.capabilities];
  try {
    await there.enable(capabilities);
    await settings.enable(capabilities);
    await setTls(settings, there, options);
    if (options.bandwidthBytesPerSec !== null) {
      await settings.set({ maxBandwidthBytesPerSec: options.bandwidthBytesPerSec });
    }
    const exitOnError = held.destinationSchema.commandHasArgument('migrate-incoming', 'exit-on-error')
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
    memoryBytes: await readMemoryBytes(source.client),
    postcopyReady: held.capabilities.includes('postcopy-ram'),
    preemptReady: held.capabilities.includes('postcopy-preempt'),
    parameters: settings.parameters,
    switchoverMs: SWITCHOVER_MS,
    sendQueueBytes: readSendQueueBytes(),
    shortensQueue: sendQueue !== null,
    pacesPostcopy: hasPageLevers(held.sourceSchema),
    linkBytesPerSec: options.linkBytesPerSec,
    ...(await lookAhead(held, pages)),
  };
  return { settings, context };
}

/** What is looked at of the guest before it is migrated. */
async function lookAhead(
  { source, sourceSchema, options, deps, clock }: Held,
  pages: PageControl | null,
): Promise<Pick<PolicyContext, 'profile' | 'pages'>> {
  const { profileMs } = options;
  const { reporter, signal } = deps;
  const profile =
    profileMs === 0
      ? null
      : await takeProfile({ source, schema: sourceSchema, profileMs, pages, reporter, clock, signal });
  if (pages === null) return { profile, pages: null };
  return { profile, pages: await pages.watch(profile === null ? WATCH_MS : 0) };
}

async function setTls(source: Settings, destination: Settings, options: MigrateOptions): Promise<void> {
  if (options.tlsCreds === null) return;
  const creds: RawParameters = { 'tls-creds': options.tlsCreds };
  await destination.setRaw(creds);
  await source.setRaw(
    options.tlsHostname === null ? creds : { ...creds, 'tls-hostname': options.tlsHostname },
  );
}

async function migrateHeld(held: Held): Promise<Outcome> {
  const pages = await openPages(held);
  try {
    const { source, options, capabilities, sourceSchema: schema, deps } = held;
    const mayPostcopy = capabilities.includes('postcopy-ram');
    // A stream that is none of TCP has no queue that could be made short.
    const port = Number(/^tcp:.*:(\d+)$/.exec(options.uri)?.[1] ?? 0);
    const sendQueue = port === 0 ? null : openSendQueue(source, { port, mayPostcopy, schema }, deps.reporter);
    const { settings, context } = await prepare(held, pages, sendQueue);
    return await superviseHeld(held, { pages, sendQueue }, settings, context);
  } finally {
    pages?.close();
  }
}

/** The senses and levers of a patched QEMU, where the mode may use them and the policy does. */
async function openPages({ source, options, deps, clock, custody, sourceSchema: schema }: Held) {
  if (options.mode !== 'enforce' || options.policy.wantsPages !== true) return null;
  const against = againstLevers(options.uri, await readCapabilities(source.client));
  if (against !== null) {
    if (hasPageLevers(schema)) deps.reporter.note(`going on as on a stock QEMU: ${against}`);
    return null;
  }
  const { journal } = custody;
  return await PageControl.open({ source, schema, journal, reporter: deps.reporter, clock });
}

async function superviseHeld(
  held: Held,
  { pages, sendQueue }: Pick<LoopDeps, 'pages' | 'sendQueue'>,
  settings: Settings,
  context: PolicyContext,
): Promise<Outcome> {
  const { source, destination, options, deps, clock, custody, recorder } = held;
  const roundTripMs = await measureRoundTrip(source, destination, clock);
  return await supervise(
    {
      source,
      destination,
      settings,
      context,
      options,
      recorder,
      clock,
      reporter: deps.reporter,
      journal: custody.journal,
      pages,
      sendQueue,
      signal: deps.signal,
      gate: deps.gate,
      canSample: pages === null && canSampleDirtyPages(held.sourceSchema),
      undoParameters: async () => {
        await custody.undo();
      },
      onInterrupt: 'cancel',
      begin: async () => {
        await source.client.execute('migrate', { uri: options.uri }, { timeoutMs: QUERY_TIMEOUT_MS });
      },
    },
    (run) => concludeRun(held, run, roundTripMs),
  );
}

/** How it ended, by both ends' words, with the figures; the last steps of the ending are taken here. */
async function concludeRun(
  { source, destination, options, deps, clock, custody, recorder }: Held,
  { result, log, startMs, startedAtMs }: SupervisedRun,
  roundTripMs: number,
): Promise<Outcome> {
  const conclusion = await conclude({
    source: source.client,
    sourceAddress: source.address,
    destination: destination.client,
    destinationAddress: destination.address,
    usedPostcopy: result.usedPostcopy,
    destinationRan: () => log.resume !== null,
    guestPaused: hasPausedGuest(custody.journal),
    because: await reasonOfEnding(result, destination.client),
    clock,
    timeoutMs: CONCLUDE_TIMEOUT_MS,
  });
  if (conclusion.kind !== 'unknown') forgetPause(custody.journal);
  if (conclusion.kind === 'postcopy-paused') {
    await armForRecovery(destination.client, options.uri, clock, deps.reporter);
  }
  const completed = conclusion.kind === 'completed';
  const final = completed ? await readFinal(source.client, clock) : null;
  const outcome: Outcome = {
    ...conclusion,
    command: recoveryCommand(conclusion.kind, options),
    interrupted: result.interrupted && !completed,
    givenUp: result.givenUp && !completed,
    startedAtMs,
    waitedMs: result.waitedMs,
    tmtMs: completed ? (log.completed?.receivedMs ?? clock.nowMs()) - startMs : null,
    qemuTotalMs: final?.totalMs ?? null,
    qemuDowntimeMs: final?.downtimeMs ?? null,
    stopToResume: completed
      ? stopToResume(log, shareClock(source.address, destination.address), roundTripMs)
      : null,
    transferredBytes: final?.transferredBytes ?? null,
    rounds: completed ? (final?.round ?? result.last?.round ?? null) : null,
    usedPostcopy: result.usedPostcopy,
    forecastDowntimeMs: result.forecastDowntimeMs,
    notRestored: [],
  };
  recorder.outcome(clock.nowMs() - startMs, outcome);
  if (completed && options.quitSource && log.resume !== null) await quit(source.client, deps.reporter);
  return outcome;
}

function recoveryCommand(kind: Outcome['kind'], options: MigrateOptions): string | null {
  const ends = `--qmp ${options.source} --dest-qmp ${options.destination}`;
  if (kind === 'postcopy-paused') return `slackwater recover ${ends} --to ${options.uri}`;
  if (kind === 'unknown') return `slackwater status ${ends}`;
  return null;
}
