// SPDX-License-Identifier: Apache-2.0
// The operator's single steps: see, cancel, recover.

import { type Clock, RefusedError, systemClock } from '../common/index.ts';
import type { Outcome } from '../model/index.ts';
import { readMigrationInfo } from '../observe/index.ts';
import {
  parseQmpAddress,
  QmpGreetingTimeoutError,
  QmpNegotiationError,
  QmpTimeoutError,
} from '../qmp/index.ts';
import { askEnd, conclude } from './conclude.ts';
import { type Endpoint, type EndpointOptions, openEndpoint, QUERY_TIMEOUT_MS } from './endpoint.ts';
import { pauseSource } from './pause-postcopy.ts';
import type { Reporter } from './types.ts';

export interface EndStatus {
  readonly end: 'source' | 'destination';
  readonly address: string;
  readonly runStatus: string;
  readonly running: boolean;
  readonly migration: string;
  readonly round: number | null;
  readonly remainingBytes: number | null;
  readonly transferredBytes: number | null;
  readonly errorText: string | null;
}

async function withEndpoint<T>(
  end: 'source' | 'destination',
  address: string,
  options: EndpointOptions,
  use: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  const endpoint = await openEndpoint(end, address, options);
  try {
    return await use(endpoint);
  } finally {
    await endpoint.client.close();
  }
}

/** What one QEMU says of its guest and its migration. Changes nothing. */
export function readStatus(
  end: 'source' | 'destination',
  address: string,
  options: EndpointOptions,
): Promise<EndStatus> {
  return withEndpoint(end, address, options, async ({ client }) => {
    const query = { timeoutMs: QUERY_TIMEOUT_MS };
    const [run, reply] = await Promise.all([
      client.execute('query-status', undefined, query),
      client.execute('query-migrate', undefined, query),
    ]);
    const info = readMigrationInfo(reply);
    return {
      end,
      address,
      runStatus: run.status,
      running: run.running,
      migration: info.status,
      round: info.round > 0 ? info.round : null,
      remainingBytes: info.remainingBytes,
      transferredBytes: info.transferredBytes,
      errorText: info.errorText,
    };
  });
}

const CANCELLABLE = new Set(['setup', 'active', 'device', 'pre-switchover', 'wait-unplug', 'cancelling']);

/** Cancels a migration in pre-copy; resolves when the guest is known to run on the source. @throws RefusedError */
export function cancelMigration(
  address: string,
  options: EndpointOptions,
  clock: Clock = systemClock,
): Promise<string> {
  return withEndpoint('source', address, options, async ({ client }) => {
    const query = { timeoutMs: QUERY_TIMEOUT_MS };
    const status = (await client.execute('query-migrate', undefined, query)).status ?? 'none';
    if (status.startsWith('postcopy')) {
      throw new RefusedError(`the migration is in post-copy (${status}): the guest runs on the destination`, {
        remedy: 'let it finish; if it is paused, "slackwater recover"',
      });
    }
    if (!CANCELLABLE.has(status)) {
      throw new RefusedError(`there is no migration to cancel (${status})`, {
        remedy: 'see "slackwater status"',
      });
    }
    await client.execute('migrate_cancel', undefined, query);
    for (;;) {
      const [run, migration] = await Promise.all([
        client.execute('query-status', undefined, query),
        client.execute('query-migrate', undefined, query),
      ]);
      const now = migration.status ?? 'none';
      if (!CANCELLABLE.has(now)) {
        if (run.running) return `migration ${now}, the guest runs on the source`;
        throw new RefusedError(`too late: the migration is ${now}`, { remedy: 'see "slackwater status"' });
      }
      await clock.sleep(20);
    }
  });
}

export interface RecoverOptions {
  readonly source: string;
  readonly destination: string;
  readonly uri: string;
  readonly insecure: boolean;
}

/** Recovers a paused post-copy over a new connection and stays until the guest is whole. @throws RefusedError */
export async function recover(
  options: RecoverOptions,
  reporter: Reporter,
  clock: Clock = systemClock,
): Promise<Outcome> {
  const endpointOptions = { insecure: options.insecure, clock };
  return withEndpoint('source', options.source, endpointOptions, async (source) => {
    await requirePaused(source);
    await armDestination(options, endpointOptions, reporter);
    return await resume(source, options, reporter, clock);
  });
}

/** Pauses an end that has not noticed yet that the link is gone. @throws RefusedError when there is nothing to recover */
async function requirePaused({ client, end, address }: Endpoint): Promise<void> {
  const query = { timeoutMs: QUERY_TIMEOUT_MS };
  const status = (await client.execute('query-migrate', undefined, query)).status ?? 'none';
  if (status === 'postcopy-active') {
    if (end === 'source') await pauseSource(client, query);
    else await client.executeOob('migrate-pause', undefined, query);
    await waitForStatus({ client, address }, (now) => now === 'postcopy-paused', systemClock);
  } else if (status !== 'postcopy-paused') {
    throw new RefusedError(`the ${end} has no paused post-copy to recover (${status})`, {
      remedy: 'see "slackwater status"',
    });
  }
}

/** Has the destination listen, unless its main loop waits for a page: then whoever paused it has seen to that. */
async function armDestination(
  options: RecoverOptions,
  endpointOptions: EndpointOptions,
  reporter: Reporter,
): Promise<void> {
  try {
    await withEndpoint(
      'destination',
      options.destination,
      { ...endpointOptions, timeoutMs: 3000 },
      async (destination) => {
        await requirePaused(destination);
        const query = { timeoutMs: QUERY_TIMEOUT_MS };
        await destination.client.executeOob('migrate-recover', { uri: options.uri }, query);
      },
    );
  } catch (error) {
    const isMute = error instanceof QmpNegotiationError || error instanceof QmpTimeoutError;
    if (!isMute && !(error instanceof QmpGreetingTimeoutError)) throw error;
    reporter.note('the destination waits for pages and does not answer; it listens since it was paused');
  }
}

async function resume(
  source: Endpoint,
  options: RecoverOptions,
  reporter: Reporter,
  clock: Clock,
): Promise<Outcome> {
  const query = { timeoutMs: QUERY_TIMEOUT_MS };
  const startMs = clock.nowMs();
  const startedAtMs = clock.wallMs();
  await source.client.execute('migrate', { uri: options.uri, resume: true }, query);
  reporter.note('reconnected: fetching the missing pages');
  const last = await waitForStatus(
    source,
    (status) => !['postcopy-active', 'postcopy-recover', 'postcopy-recover-setup'].includes(status),
    clock,
  );
  const conclusion = await conclude({
    source: source.client,
    sourceAddress: source.address,
    destination: null,
    destinationAddress: parseQmpAddress(options.destination, { insecure: options.insecure }),
    usedPostcopy: true,
    destinationRan: () => true,
    guestPaused: false,
    because: `post-copy is paused again (${last})`,
    clock,
    timeoutMs: 20_000,
  });
  const completed = conclusion.kind === 'completed';
  const info = completed
    ? readMigrationInfo(await source.client.execute('query-migrate', undefined, query))
    : null;
  return {
    ...conclusion,
    command: completed
      ? null
      : `slackwater recover --qmp ${options.source} --dest-qmp ${options.destination} --to ${options.uri}`,
    interrupted: false,
    givenUp: false,
    startedAtMs,
    waitedMs: 0,
    tmtMs: completed ? clock.nowMs() - startMs : null,
    qemuTotalMs: info?.totalMs ?? null,
    qemuDowntimeMs: info?.downtimeMs ?? null,
    stopToResume: null,
    transferredBytes: info?.transferredBytes ?? null,
    rounds: info?.round ?? null,
    usedPostcopy: true,
    forecastDowntimeMs: null,
    notRestored: [],
  };
}

async function waitForStatus(
  endpoint: Pick<Endpoint, 'client' | 'address'>,
  reached: (status: string) => boolean,
  clock: Clock,
): Promise<string> {
  for (;;) {
    const state = await askEnd(endpoint.client, endpoint.address);
    if (state.kind !== 'answers') return state.kind;
    if (reached(state.migration)) return state.migration;
    await clock.sleep(50);
  }
}
