// SPDX-License-Identifier: Apache-2.0
// The measuring programs say "running" when they do, and tell what they have seen in one line when they are ended.

import { once } from 'node:events';
import { MeasureError } from '../errors.ts';
import type { LongLived } from '../process.ts';

/** Listens from now on; the function that it returns ends the program and resolves with its report. */
export function collectOutput({ child }: LongLived, name: string): () => Promise<string> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (piece: string) => (stdout += piece));
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => (stderr += piece));
  const closed = once(child, 'close');
  return async () => {
    child.kill('SIGTERM');
    await closed;
    const [first = '', report = ''] = stdout.split('\n');
    if (first === 'running' && report !== '') return report;
    throw new MeasureError(`${name} ended early: ${stderr.trim() || stdout}`);
  };
}
