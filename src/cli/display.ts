// SPDX-License-Identifier: Apache-2.0
// What a person sees of a running migration, on stderr: one live line on a terminal, plain lines elsewhere.

import { createInterface } from 'node:readline/promises';
import { formatBytes, formatMs, formatRate } from '../common/index.ts';
import type { Progress, Reporter } from '../control/index.ts';
import type { Action } from '../model/index.ts';

const PLAIN_EVERY_MS = 5000;
const LIVE_EVERY_MS = 100;

/** Round, remaining, bandwidth, forecast and intention in one line. */
export function progressLine({ observation, forecast, intention }: Progress): string {
  const inPostcopy = observation.status.startsWith('postcopy');
  const parts = [
    formatMs(observation.atMs).padStart(8),
    inPostcopy ? 'post-copy' : `round ${observation.round}`,
  ];
  if (observation.remainingBytes !== null) parts.push(`${formatBytes(observation.remainingBytes)} left`);
  if (observation.bandwidthBytesPerSec !== null) parts.push(formatRate(observation.bandwidthBytesPerSec));
  const best = inPostcopy ? forecast.postcopy[0] : forecast.precopy[0];
  if (best !== undefined) {
    parts.push(
      `if switched now: total ${formatMs(best.tmtMs.expected)}, downtime ${formatMs(best.downtimeMs.expected)}`,
    );
  }
  if (intention !== '') parts.push(intention);
  return parts.join(' | ');
}

function questionOf(action: Action): string {
  return action.kind === 'set-parameters' ? `set ${JSON.stringify(action.change)}?` : `${action.kind}?`;
}

export interface Display extends Reporter {
  /** Leaves the terminal clean. */
  end(): void;
}

/** @param quiet says nothing but notes */
export function createDisplay(stream: NodeJS.WriteStream, quiet: boolean): Display {
  const live = stream.isTTY && !quiet;
  let shown = false;
  let lastMs = -Infinity;
  let lastRound = -1;
  // One question at a time, and nothing drawn over it.
  let asking = false;
  let lastQuestion: Promise<unknown> = Promise.resolve();
  const over = new AbortController();
  const clear = (): void => {
    if (shown) stream.write('\r\u001b[K');
    shown = false;
  };
  const line = (text: string): void => {
    clear();
    stream.write(`${text}\n`);
  };
  const ask = async (action: Action): Promise<boolean> => {
    if (over.signal.aborted) return false;
    clear();
    asking = true;
    const prompt = createInterface({ input: process.stdin, output: stream });
    try {
      const answer = await prompt.question(`${questionOf(action)} [y/N] `, { signal: over.signal });
      return answer.trim().toLowerCase() === 'y';
    } catch {
      // The migration is over, or the operator closed the input: not confirmed.
      return false;
    } finally {
      prompt.close();
      asking = false;
    }
  };
  return {
    progress: (progress) => {
      if (quiet || asking) return;
      const { atMs, round } = progress.observation;
      // The line only ever moves forward: an observation that was overtaken is not shown.
      if (atMs < lastMs) return;
      if (live) {
        if (atMs - lastMs < LIVE_EVERY_MS && round === lastRound) return;
        const width = Math.max(20, stream.columns - 1);
        stream.write(`\r\u001b[K${progressLine(progress).slice(0, width)}`);
        shown = true;
      } else if (atMs - lastMs >= PLAIN_EVERY_MS || (round !== lastRound && round <= 3)) {
        line(progressLine({ ...progress, intention: '' }));
      } else return;
      lastMs = atMs;
      lastRound = round;
    },
    decision: (action, carriedOut) => {
      if (quiet) return;
      // "Going on" is what the live line says anyway.
      if (action.kind === 'continue' && live) return;
      line(`${carriedOut ? '' : 'would: '}${action.reason.text}`);
    },
    note: (text) => line(`slackwater: ${text}`),
    confirm: (action) => {
      if (!process.stdin.isTTY) return Promise.resolve(false);
      const answer = lastQuestion.then(() => ask(action));
      lastQuestion = answer;
      return answer;
    },
    end: () => {
      over.abort();
      clear();
    },
  };
}
