// SPDX-License-Identifier: Apache-2.0
// Programs that end by themselves, in any place.

import { spawn } from 'node:child_process';
import { inLoginTurn, messageOf } from '../common/index.ts';
import { remedyAt, TcError } from './errors.ts';
import { argvAt, type Place, placeName } from './place.ts';

const TIMEOUT_MS = 10_000;

/** Runs a program to its end; returns its stdout. @throws TcError with its words */
export async function runAt(place: Place, argv: readonly string[], input = ''): Promise<string> {
  const run = (): Promise<string> => runNow(place, argv, input);
  return await (place.kind === 'ssh' ? inLoginTurn(place.host, run) : run());
}

async function runNow(place: Place, argv: readonly string[], input: string): Promise<string> {
  const [program = '', ...args] = argvAt(place, argv);
  const child = spawn(program, args, { stdio: 'pipe', timeout: TIMEOUT_MS });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (said.out += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (said.err += piece));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const failed = (why: string, code: number | null, cause?: unknown): TcError =>
    new TcError(`${argv[0] ?? ''} failed (${placeName(place)}): ${why}`, {
      ...(cause === undefined ? {} : { cause }),
      remedy: remedyAt(place, code),
    });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(failed(messageOf(error), null, error)));
    child.once('close', resolve);
  });
  if (code !== 0) throw failed(said.err.trim() || `status ${String(code)}`, code);
  return said.out;
}
