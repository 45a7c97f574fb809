// SPDX-License-Identifier: Apache-2.0
// A file of results, a line of JSON each, that a killed run goes on with: what it has not ended is no result, and gone.

import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ResumableLines<T> {
  readonly results: readonly T[];
  append(result: T): void;
}

export function openLines<T>(directory: string, name: string): ResumableLines<T> {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, name);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole !== text) writeFileSync(file, whole);
  const results = whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
  return {
    results,
    append: (result) => {
      appendFileSync(file, `${JSON.stringify(result)}\n`);
      results.push(result);
    },
  };
}
