// SPDX-License-Identifier: Apache-2.0
// How far another machine's wall clock is from ours, found as NTP does: by asking it several times over one connection. The
// answer was given somewhere between our question and its arrival; the shortest of these times says it best.

import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { MeasureError } from '../errors.ts';
import type { RemoteHost } from './remote-host.ts';

export interface Exchange {
  readonly askedMs: number;
  readonly answeredMs: number;
  /** What the other clock said in between. */
  readonly theirsMs: number;
}

export interface ClockOffset {
  /** Theirs less ours. */
  readonly offsetMs: number;
  readonly uncertaintyMs: number;
}

const EXCHANGES = 15;
const TIMEOUT_MS = 10_000;
const TELL_TIME = 'while read -r question; do echo "time $question $(date +%s%N)"; done';

/** By the quickest exchange; the other clock may have been read at any moment of it. @throws MeasureError without any */
export function offsetOf(exchanges: readonly Exchange[]): ClockOffset {
  const offsets = exchanges.map(({ askedMs, answeredMs, theirsMs }) => ({
    offsetMs: theirsMs - (askedMs + answeredMs) / 2,
    uncertaintyMs: (answeredMs - askedMs) / 2,
  }));
  const [best] = offsets.sort((a, b) => a.uncertaintyMs - b.uncertaintyMs);
  if (best === undefined) throw new MeasureError('wanted the other clock read once or more, got no answer');
  return best;
}

/** For the time between two measurements: the mean, and what the clocks went apart is uncertainty as well. */
export function offsetBetween(before: ClockOffset, after: ClockOffset): ClockOffset {
  return {
    offsetMs: (before.offsetMs + after.offsetMs) / 2,
    uncertaintyMs:
      Math.max(before.uncertaintyMs, after.uncertaintyMs) + Math.abs(before.offsetMs - after.offsetMs) / 2,
  };
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Our wall clock less our monotonic clock. Date.now counts whole milliseconds: the moment it moves on is exact. */
export function realtimeLessMonotonicMs(): number {
  const first = Date.now();
  for (;;) {
    const nowMs = Date.now();
    if (nowMs !== first) return nowMs - monotonicMs();
  }
}

/** The host's wall clock less ours, at this moment. @throws MeasureError */
export async function measureOffset(host: RemoteHost): Promise<ClockOffset> {
  const asker = await host.start(['sh', '-c', TELL_TIME], { stdio: ['pipe', 'pipe', 'ignore'] });
  const { stdin, stdout } = asker.child;
  if (stdin === null || stdout === null) throw new MeasureError('wanted pipes to ssh, got none');
  // Ended before it is asked: the missing answer tells.
  stdin.on('error', () => undefined);
  const timer = setTimeout(() => asker.kill(), TIMEOUT_MS);
  try {
    return offsetOf(await exchangeTimes(stdin, stdout));
  } finally {
    clearTimeout(timer);
    asker.kill();
    await asker.exited;
  }
}

async function exchangeTimes(stdin: Writable, stdout: Readable): Promise<Exchange[]> {
  const ourRealtimeMs = realtimeLessMonotonicMs();
  const exchanges: Exchange[] = [];
  const ask = (): number => {
    stdin.write(`${exchanges.length}\n`);
    return monotonicMs() + ourRealtimeMs;
  };
  let askedMs = ask();
  for await (const line of createInterface({ input: stdout })) {
    const answeredMs = monotonicMs() + ourRealtimeMs;
    const [, question, nanoseconds] = /^time (\d+) (\d{19})$/.exec(line) ?? [];
    if (Number(question) !== exchanges.length) continue;
    exchanges.push({ askedMs, answeredMs, theirsMs: Number(nanoseconds) / 1e6 });
    if (exchanges.length === EXCHANGES) break;
    askedMs = ask();
  }
  return exchanges;
}
