// SPDX-License-Identifier: Apache-2.0
// A dirtying curve in characters, for a terminal: window length to the right, distinct dirty bytes upwards.

import { formatBytes, formatMs } from '../common/index.ts';
import { dirtyBytesWithin } from '../forecast/index.ts';
import type { DirtyCurve } from '../model/index.ts';

const WIDTH = 60;
const HEIGHT = 10;

/** Lines of the drawing; `longestMs` is the right end. `points` are what was measured. */
export function drawCurve(
  curve: DirtyCurve,
  longestMs: number,
  points: readonly { readonly windowMs: number; readonly dirtyBytes: number }[],
): string[] {
  const most = Math.max(dirtyBytesWithin(curve, longestMs), ...points.map(({ dirtyBytes }) => dirtyBytes), 1);
  const rows = Array.from({ length: HEIGHT }, () => new Array<string>(WIDTH).fill(' '));
  const put = (windowMs: number, bytes: number, mark: string): void => {
    const column = Math.min(WIDTH - 1, Math.floor((windowMs / longestMs) * (WIDTH - 1)));
    const row = Math.min(HEIGHT - 1, Math.floor((bytes / most) * (HEIGHT - 1)));
    const line = rows[HEIGHT - 1 - row];
    if (line !== undefined) line[column] = mark;
  };
  for (let column = 0; column < WIDTH; column++) {
    const windowMs = ((column + 0.5) / (WIDTH - 1)) * longestMs;
    put(windowMs, dirtyBytesWithin(curve, windowMs), '.');
  }
  for (const { windowMs, dirtyBytes } of points) {
    if (windowMs <= longestMs) put(windowMs, dirtyBytes, 'o');
  }
  const top = formatBytes(most);
  return [
    `distinct bytes dirtied within a window (o measured, . curve), up to ${top}`,
    ...rows.map((row) => `  |${row.join('')}`),
    `  +${'-'.repeat(WIDTH)} ${formatMs(longestMs)}`,
  ];
}
