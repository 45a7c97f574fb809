// SPDX-License-Identifier: Apache-2.0
import t from 'tap';
import { fixedSettingNames, policyByName } from '../../src/decide/index.ts';
import { initForecast } from '../../src/forecast/index.ts';
import type { Policy } from '../../src/model/index.ts';
import { MIB, observation } from './support/observation.ts';
import { policyContext } from './support/policy-context.ts';
import { stepOn } from './support/step-on.ts';

/** Rounds end at 4 s, 5 s, 6 s, ...; samples every 250 ms. Returns what was done, and when. */
function drive(policy: Policy): { atMs: number; kind: string }[] {
  let { state, wakeAtMs } = policy.init(policyContext());
  let forecasting = initForecast({ switchoverMs: 30 });
  const done: { atMs: number; kind: string }[] = [];
  for (let atMs = 0; atMs <= 8000; atMs += 250) {
    if (wakeAtMs !== null && wakeAtMs < atMs) {
      const dueMs = wakeAtMs;
      const ticked = policy.step(state, { kind: 'tick', nowMs: dueMs });
      ({ state, wakeAtMs } = ticked);
      done.push(...ticked.actions.map(({ kind }) => ({ atMs: dueMs, kind })));
    }
    const round = atMs < 4000 ? 1 : Math.floor(atMs / 1000) - 2;
    const isBoundary = atMs >= 4000 && atMs % 1000 === 0;
    const seen = observation({
      kind: isBoundary ? 'round' : 'sample',
      atMs,
      round,
      endedRoundMs: isBoundary ? 1000 : null,
      dirtyAtRoundStartBytes: isBoundary ? 64 * MIB : null,
      remainingBytes: round === 1 ? 512 * MIB * (1 - atMs / 4000) : 64 * MIB,
      bandwidthBytesPerSec: 128 * MIB,
      dirtySamples: atMs === 250 ? [{ windowMs: 100, dirtyBytes: 20 * MIB }] : [],
    });
    const stepped = stepOn(policy, state, forecasting, seen);
    const { step } = stepped;
    ({ forecasting } = stepped);
    ({ state, wakeAtMs } = step);
    done.push(...step.actions.map(({ kind }) => ({ atMs, kind })));
  }
  return done;
}

t.test('a fixed setting switches at its moment, in its way, and does nothing else', (t) => {
  const MOMENTS_MS: Record<string, number> = { 0: 0, 50: 2000, 100: 4000, 200: 5000 };
  for (const name of fixedSettingNames()) {
    const policy = policyByName(name);
    if (policy === undefined) throw new Error(`no policy ${name}`);
    const [, way = '', percent = ''] = /^(\w+)-at-(\d+)/.exec(name) ?? [];
    const done = drive(policy);
    const switched = done.filter(({ kind }) => kind !== 'set-parameters');
    t.same(
      switched.map(({ kind }) => kind),
      [way === 'pause' ? 'pause-guest' : 'start-postcopy'],
      name,
    );
    t.ok(Math.abs((switched[0]?.atMs ?? NaN) - (MOMENTS_MS[percent] ?? NaN)) < 10, `${name} at its moment`);
    const isQuiet = done.some(({ kind }) => kind === 'set-parameters');
    t.equal(isQuiet, name.endsWith('-quiet'), `${name}: the push is held back`);
  }
  t.end();
});
