// SPDX-License-Identifier: Apache-2.0
// Destinations that are ours to start: by the operator's own program, and to end where the guest never came to them.

import { spawn } from 'node:child_process';
import { messageOf, RefusedError } from '../../common/index.ts';
import { openEndpoint, QUERY_TIMEOUT_MS } from '../endpoint.ts';
import type { GangMember } from './plan.ts';

const TIMEOUT_MS = 60_000;
const SHOWN_CHARACTERS = 500;

/**
 * Runs the program to its end; the QEMU that it has started may live on with what it inherited.
 * @throws RefusedError with its words where it cannot be run, fails, or takes longer than a minute
 */
export async function launchDestination(
  argv: readonly string[],
  vm: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [program = '', ...args] = argv.map((word) => word.replaceAll('{name}', vm));
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: TIMEOUT_MS });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    said = (said + piece).slice(-SHOWN_CHARACTERS);
  });
  const end = (): void => void child.kill();
  signal?.addEventListener('abort', end);
  try {
    const how = await new Promise<string | null>((resolve) => {
      child.once('error', (error) => resolve(messageOf(error)));
      // Not "close": what it has started may hold its pipes.
      child.once('exit', (code, by) =>
        resolve(code === 0 ? null : `it ended with ${by ?? `status ${String(code)}`}`),
      );
    });
    if (how === null) return;
    throw new RefusedError(
      `the destination of ${vm} was not started: ${how}${said === '' ? '' : `: ${said.trim()}`}`,
      {
        remedy: `try by hand: ${[program, ...args].join(' ')}`,
      },
    );
  } finally {
    signal?.removeEventListener('abort', end);
    child.stderr.destroy();
  }
}

/** Ends a destination that waits for a guest which does not come, so that another one can take its place. */
export async function quitWaiting({ destination }: GangMember, insecure: boolean): Promise<void> {
  try {
    const { client } = await openEndpoint('destination', destination, {
      insecure,
      timeoutMs: QUERY_TIMEOUT_MS,
    });
    try {
      const query = { timeoutMs: QUERY_TIMEOUT_MS };
      const { status } = await client.execute('query-status', undefined, query);
      if (status === 'inmigrate') await client.execute('quit', undefined, query);
    } finally {
      await client.close();
    }
  } catch {
    // It has ended by itself, or ends just now.
  }
}
