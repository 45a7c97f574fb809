// SPDX-License-Identifier: Apache-2.0
// What keeper.sh writes down before a change is made: one of its undoing functions and that one's arguments, a line each.

import { UsageError } from '../../src/index.ts';
import type { Argv } from '../process.ts';

export type UndoStep =
  | readonly ['delete_link', name: string]
  | readonly ['delete_qdisc', nic: string, handle: string]
  | readonly ['remove_file', path: string];

/** The keeper's arguments for a change and what undoes it. @throws UsageError where a line could not hold an argument */
export function changeArguments(undo: UndoStep, change: Argv): string[] {
  for (const argument of undo) {
    if (argument === '' || /[\n\0]/.test(argument)) {
      throw new UsageError(
        `wanted an argument of ${undo[0]} that is one line of text, got ${JSON.stringify(argument)}`,
      );
    }
  }
  return [String(undo.length), ...undo, ...change];
}
