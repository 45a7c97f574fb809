// SPDX-License-Identifier: Apache-2.0
// ssh hands one string to the login shell of the other side. This is the only place where such a string is made.

import { UsageError } from '../../src/index.ts';
import type { Argv } from '../process.ts';

/**
 * An argument vector as a line that any POSIX shell splits into exactly that vector, whatever is in it.
 * @throws UsageError for a NUL, which no argument can hold
 */
export function shellQuote(argv: Argv): string {
  return argv.map(quoteWord).join(' ');
}

function quoteWord(word: string): string {
  if (word.includes('\0')) {
    throw new UsageError(`wanted an argument without a NUL, got ${JSON.stringify(word)}`);
  }
  // Nothing is special within single quotes but their end; and what is quoted is no alias, reserved word or assignment.
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
