// SPDX-License-Identifier: Apache-2.0
// What one TCP stream carries between two hosts, measured by iperf3.

import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { SlackwaterError } from '../../src/index.ts';
import { type Argv, type LongLived, startLongLived } from '../process.ts';
import type { CommandContext } from './iproute.ts';
import { inNamespace, runIn } from './iproute.ts';
import type { HostName } from './plan.ts';
import { ENDPOINTS, namespaceOf } from './plan.ts';

const PORT = 5201;
const SERVER_START_MS = 5000;

/** iperf3 gave no figure. */
export class GoodputError extends SlackwaterError {
  readonly code = 'ERR_TESTBED_GOODPUT';
}

export interface GoodputOptions {
  readonly from?: HostName;
  readonly to?: HostName;
  readonly durationS?: number;
}

/** How the two programs are run: each where it belongs. */
export interface GoodputRunners {
  readonly startServer: (
    argv: Argv,
    options: { readonly stdio: ['ignore', 'pipe', 'ignore'] },
  ) => Promise<LongLived>;
  /** To its end; returns its output. */
  readonly runClient: (argv: Argv, options: { readonly timeoutMs: number }) => Promise<string>;
}

/** Bytes per second that arrived as TCP payload. @throws GoodputError, ProcessError */
export async function measureGoodput(
  context: CommandContext,
  testbed: string,
  { from = 'src', to = 'dst', durationS = 2 }: GoodputOptions = {},
): Promise<number> {
  const runners: GoodputRunners = {
    startServer: (argv, options) =>
      startLongLived(inNamespace(namespaceOf(testbed, to), argv), { ...options, env: context.env }),
    runClient: (argv, options) => runIn(context, namespaceOf(testbed, from), argv, options),
  };
  return await measureGoodputTo(ENDPOINTS[to].ip, runners, durationS);
}

/** As `measureGoodput`, between any two machines; `address` is the server's. */
export async function measureGoodputTo(
  address: string,
  { startServer, runClient }: GoodputRunners,
  durationS = 2,
): Promise<number> {
  const server = await startServer(['iperf3', '-s', '-1', '--forceflush', '-B', address, '-p', `${PORT}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await listening(server.child.stdout, server.exited);
    const report = await runClient(['iperf3', '-c', address, '-p', `${PORT}`, '-t', `${durationS}`, '-J'], {
      timeoutMs: durationS * 1000 + 20_000,
    });
    return parseGoodput(report);
  } finally {
    server.kill();
    await server.exited;
  }
}

async function listening(stdout: NodeJS.ReadableStream | null, exited: Promise<unknown>): Promise<void> {
  if (stdout === null) throw new GoodputError('wanted the output of the iperf3 server, got none');
  const ready = new Promise<'ready'>((resolve) => {
    createInterface({ input: stdout }).on('line', (line) => {
      if (line.includes('listening')) resolve('ready');
    });
  });
  const timer = new AbortController();
  const first = await Promise.race([
    ready,
    exited.then(() => 'its end'),
    delay(SERVER_START_MS, 'silence', { signal: timer.signal }),
  ]);
  timer.abort();
  if (first !== 'ready') {
    throw new GoodputError(`wanted the iperf3 server listening within ${SERVER_START_MS} ms, got ${first}`);
  }
}

/** Received bytes per second out of iperf3's JSON report. @throws GoodputError */
export function parseGoodput(report: string): number {
  let received: unknown;
  let said = '';
  try {
    const parsed = JSON.parse(report) as {
      end?: { sum_received?: { bits_per_second?: unknown } };
      error?: string;
    };
    received = parsed.end?.sum_received?.bits_per_second;
    said = parsed.error === undefined ? '' : `, with the error: ${parsed.error}`;
  } catch (error) {
    throw new GoodputError('wanted a JSON report of iperf3, got something else', { cause: error });
  }
  if (typeof received !== 'number' || !(received > 0)) {
    throw new GoodputError(
      `wanted end.sum_received.bits_per_second in the report of iperf3, got ${String(received)}${said}`,
    );
  }
  return received / 8;
}
