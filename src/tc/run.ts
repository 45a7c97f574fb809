// SPDX-License-Identifier: Apache-2.0
// Programs that end by themselves, in any place.

import { spawn } from 'node:child_process';
import { messageOf } from '../common/index.ts';
import { TcError } from './errors.ts';
import { argvAt, type Place, placeName } from './place.ts';

const TIMEOUT_MS = 10_000;

/** Runs a program to its end; returns its stdout. @throws TcError with its words */
export async function runAt(place: Place, argv: readonly string[], input = ''): Promise<string> {
  const [program = '', ...args] = argvAt(place, argv);
  const child = spawn(program, args, { stdio: 'pipe', timeout: TIMEOUT_MS });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (said.out += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (said.err += piece));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const failed = (why: string, cause?: unknown): TcError =>
    new TcError(`${argv[0] ?? ''} failed (${placeName(place)}): ${why}`, {
      ...(cause === undefined ? {} : { cause }),
      remedy: 'iproute2 and nftables have to be there, and CAP_NET_ADMIN',
    });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(failed(messageOf(error), error)));
    child.once('close', resolve);
  });
  if (code !== 0) throw failed(said.err.trim() || `status ${String(code)}`);
  return said.out;
}
