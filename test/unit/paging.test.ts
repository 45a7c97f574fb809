// SPDX-License-Identifier: Apache-2.0
// The adaptive policy on a QEMU that shows its pages: what it leaves out, and how it ends.

import t from 'tap';
import { createAdaptivePolicy } from '../../src/decide/index.ts';
import { initForecast, stepForecast } from '../../src/forecast/index.ts';
import type { Action, PageSummary, PolicyContext, PolicyStep } from '../../src/model/index.ts';
import { leastHeatOf } from '../../src/model/index.ts';
import { GIGABIT_BYTES_PER_SEC, MIB, observation } from './support/observation.ts';
import { byHeat, pages, PAGES_PER_MIB } from './support/pages.ts';
import { OBJECTIVE, policyContext } from './support/policy-context.ts';

interface Look {
  readonly atMs: number;
  /** Null: they cannot be seen any more. Absent: nothing is seen, only time goes by. */
  readonly pages?: Partial<PageSummary> | null;
  readonly zeroMib?: number;
  readonly sentBytes?: number;
}

/** All actions of a run over what is seen, with the end of the first pass at 3 s. */
function run(looks: readonly Look[], context: PolicyContext): Action[] {
  const policy = createAdaptivePolicy();
  let forecasting = initForecast({ switchoverMs: 30 });
  let step: PolicyStep<unknown> = policy.init(context);
  const actions = [...step.actions];
  for (const look of looks) {
    if (look.pages === undefined) {
      step = policy.step(step.state as never, { kind: 'tick', nowMs: look.atMs });
      actions.push(...step.actions);
      continue;
    }
    const seen = observation({
      kind: 'sample',
      round: 1,
      atMs: look.atMs,
      pages: look.pages && pages(look.pages),
      zeroBytes: (look.zeroMib ?? 0) * MIB,
      ...(look.sentBytes === undefined ? {} : { transferredBytes: look.sentBytes }),
    });
    const { state, forecast } = stepForecast(forecasting, {
      ...seen,
      dirtySamples: [{ windowMs: 200, dirtyBytes: 30 * MIB }],
    });
    forecasting = state;
    step = policy.step(step.state as never, {
      kind: 'observation',
      nowMs: look.atMs,
      observation: seen,
      forecast,
    });
    actions.push(...step.actions);
  }
  return actions;
}

const kindsOf = (actions: readonly Action[]): string[] => actions.map(({ kind }) => kind);
const HOT = byHeat({ 0: 448, 16: 64 });
const context = (fields: Partial<PolicyContext> = {}): PolicyContext =>
  policyContext({
    pacesPostcopy: true,
    pages: pages({ pagesByHeat: HOT, pendingPages: null, deferredPages: null, endsRound: null }),
    ...fields,
  });
const atEnd = (hotMib: number, residualMib: number): Partial<PageSummary> => ({
  pagesByHeat: HOT,
  deferredPages: hotMib * PAGES_PER_MIB,
  pendingPages: (hotMib + residualMib) * PAGES_PER_MIB,
  endsRound: true,
});

t.test('it holds and defers before the first byte, and learns the link on the way', (t) => {
  const actions = run(
    [{ atMs: 500, pages: { pagesByHeat: HOT, pendingPages: 100_000, deferredPages: 16_384 } }],
    context(),
  );
  t.same(kindsOf(actions), ['hold', 'defer', 'set-parameters', 'defer']);
  t.match(actions[1], { leastHeat: leastHeatOf(16) });
  t.end();
});

t.test('a guest that pre-copy can finish has no more left out than fits into the maximum downtime', (t) => {
  const leftOut = (mib: Readonly<Record<number, number>>): number => {
    const seen = pages({
      pagesByHeat: byHeat(mib),
      pendingPages: null,
      deferredPages: null,
      endsRound: null,
    });
    const defer = run([], context({ pages: seen })).find(({ kind }) => kind === 'defer');
    return defer?.reason.numbers['deferredBytes'] ?? 0;
  };
  t.equal(leftOut({ 0: 448, 1: 64 }), 0, '64 MiB, a part of which is written within 300 ms');
  t.equal(leftOut({ 0: 496, 16: 16 }), 16 * MIB, '16 MiB, all of it');
  t.equal(leftOut({ 0: 448, 16: 64 }), 64 * MIB, '64 MiB, all of it: post-copy');
  t.end();
});

t.test('a guest that has just begun to write has its pages left out at once', (t) => {
  // Dirty in one window of eight so far: 32 MiB of them are 5 MiB in 300 ms, which pre-copy could finish.
  const leftOut = (dirtyBytes: number): number => {
    const seen = pages({
      pagesByHeat: byHeat({ 0: 480, 2: 32 }),
      pendingPages: null,
      deferredPages: null,
      endsRound: null,
      window: { windowMs: 200, dirtyBytes },
    });
    const defer = run([], context({ pages: seen })).find(({ kind }) => kind === 'defer');
    return defer?.reason.numbers['deferredBytes'] ?? 0;
  };
  t.equal(leftOut(8 * MIB), 0, 'no more than the link carries');
  t.equal(leftOut(40 * MIB), 32 * MIB, 'more: post-copy');
  t.end();
});

t.test(
  'an end by pre-copy that costs too many pages twice is given up for post-copy, where that is allowed',
  (t) => {
    const leftOut = (warmMib: number, postcopyReady = true): number => {
      const seen = pages({
        // All of the hot ones are written within 300 ms, and an eighth of the warm ones: that fits.
        pagesByHeat: byHeat({ 0: 504 - warmMib, 2: warmMib, 16: 8 }),
        pendingPages: null,
        deferredPages: null,
        endsRound: null,
      });
      const defer = run([], context({ pages: seen, postcopyReady })).find(({ kind }) => kind === 'defer');
      return defer?.reason.numbers['deferredBytes'] ?? 0;
    };
    t.equal(leftOut(32), 8 * MIB, 'two thirds of 32 MiB again are less than 5 %');
    t.equal(leftOut(64), 72 * MIB, 'of 64 MiB more');
    t.equal(leftOut(64, false), 8 * MIB);
    t.end();
  },
);

t.test('a guest that begins to write within the pass has its pages left out at the next look', (t) => {
  const quiet = pages({
    pagesByHeat: byHeat({ 0: 512 }),
    pendingPages: null,
    deferredPages: null,
    endsRound: null,
  });
  const look = { pendingPages: 60_000, deferredPages: 0, endsRound: false };
  const at = (atMs: number, mib: Readonly<Record<number, number>>, dirtyMib: number) => ({
    atMs,
    pages: { ...look, pagesByHeat: byHeat(mib), window: { windowMs: 200, dirtyBytes: dirtyMib * MIB } },
  });
  const looks = [at(600, { 0: 512 }, 0), at(800, { 0: 448, 2: 64 }, 40), at(1000, { 0: 448, 4: 64 }, 40)];
  const defers = run(looks, context({ pages: quiet })).filter(({ kind }) => kind === 'defer');
  t.same(
    defers.map(({ reason }) => (reason.numbers['deferredBytes'] ?? 0) / MIB),
    [0, 0, 64],
    'before the first byte, at 600 ms, and at 800 ms although it was chosen 200 ms before',
  );
  t.end();
});

t.test('what fits into the maximum downtime at the end of the pass is handed over by pre-copy', (t) => {
  const actions = run([{ atMs: 3000, pages: atEnd(16, 2) }], context());
  t.match(actions.at(-1), { kind: 'hold', hold: false });
  t.notOk(kindsOf(actions).includes('start-postcopy'));
  t.end();
});

t.test('what does not fit goes post-copy, the pages first that the guest touches first', (t) => {
  const actions = run([{ atMs: 3000, pages: atEnd(64, 1) }], context());
  t.same(kindsOf(actions).slice(-3), ['set-parameters', 'pack', 'start-postcopy']);
  const rateOf = (action: Action | undefined): number =>
    (action?.kind === 'set-parameters' ? action.change.maxPostcopyBandwidthBytesPerSec : null) ?? NaN;
  const rate = rateOf(actions.at(-3));
  t.equal(rate, GIGABIT_BYTES_PER_SEC, 'and the push comes no faster than the link carries');

  const parameters = { ...context().parameters, maxPostcopyBandwidthBytesPerSec: 20_000_000 };
  const limited = run([{ atMs: 3000, pages: atEnd(64, 1) }], context({ parameters }));
  t.equal(rateOf(limited.at(-3)), 20_000_000, 'within what the operator allows');
  t.end();
});

t.test('the push is paced by what the link carried at its best: QEMU stood still now and then', (t) => {
  const seen = { pagesByHeat: HOT, pendingPages: 100_000, deferredPages: 16_384 };
  const look = (atMs: number, sentBytes: number) => ({ atMs, sentBytes, pages: seen });
  const looks = [look(10, 1e6), look(220, 24.1e6), look(420, 48.1e6), look(450, 60e6), look(650, 84e6)];
  const last = { atMs: 900, sentBytes: 84e6, pages: atEnd(64, 1) };
  const [pace] = run([...looks, last], context()).slice(-3);
  t.match(pace, { change: { maxPostcopyBandwidthBytesPerSec: Math.round(((84e6 - 48.1e6) / 0.23) * 0.99) } });
  t.end();
});

const middle = (hotMib: number, residualMib: number): Partial<PageSummary> => ({
  ...atEnd(hotMib, residualMib),
  endsRound: false,
});

t.test(
  'the switch begins before the pass has ended: the link carries cold pages until the guest stands still',
  (t) => {
    const looks = [{ atMs: 2800, pages: middle(64, 10) }];
    // 10 MiB at 117 MB/s: 89 ms, of which the switch takes 30.
    t.notOk(kindsOf(run([...looks, { atMs: 2850 }], context())).includes('start-postcopy'), 'not at once');
    const actions = run([...looks, { atMs: 2861 }], context());
    t.same(kindsOf(actions).slice(-3), ['set-parameters', 'pack', 'start-postcopy']);
    const { deferredBytes, residualBytes } = actions.at(-1)?.reason.numbers ?? {};
    t.equal(deferredBytes, 64 * MIB);
    t.ok((residualBytes ?? 0) > 2 * MIB && (residualBytes ?? 0) < 4 * MIB, 'what the link carries meanwhile');
    const half = [{ atMs: 2800, pages: middle(64, 10), zeroMib: 512 }];
    const zeros = run([...half, { atMs: 2830 }], context());
    t.equal(kindsOf(zeros).at(-1), 'start-postcopy', 'earlier where much of the memory is all zero');
    // 26 MiB: 233 ms. The next look is due 3 ms before the switch is to begin: too late to be waited for.
    const late = run([{ atMs: 2600, pages: middle(64, 26) }, { atMs: 2804 }], context());
    t.equal(kindsOf(late).at(-1), 'start-postcopy');
    const nearly = run([{ atMs: 2800, pages: middle(64, 1) }], context());
    t.equal(kindsOf(nearly).at(-1), 'start-postcopy', 'at once where the pass has all but ended');
    t.end();
  },
);

t.test(
  'the switch waits for the end of the pass where it may not be needed, or more is to be sent first',
  (t) => {
    const last = (look: Partial<PageSummary>, fields: Partial<PolicyContext> = {}): readonly string[] =>
      kindsOf(run([{ atMs: 2800, pages: look }, { atMs: 2990 }], context(fields)));
    t.notOk(
      last(middle(16, 2)).includes('start-postcopy'),
      'what was left out fits into the maximum downtime',
    );
    t.notOk(last(middle(64, 60)).includes('start-postcopy'), 'there is another look before the end');
    const written = { ...middle(64, 10), pagesByHeat: byHeat({ 0: 384, 4: 64, 16: 64 }) };
    t.notOk(last(written).includes('start-postcopy'), 'a round over what is written meanwhile pays');
    t.notOk(
      last(middle(64, 2), { postcopyReady: false }).includes('start-postcopy'),
      'there is no post-copy',
    );
    t.end();
  },
);

t.test('a release is said once, and what fits no more after it goes post-copy', (t) => {
  const fits = atEnd(16, 2);
  const looks = [3000, 3010, 3020].map((atMs) => ({ atMs, pages: fits }));
  const released = run(looks, context());
  t.equal(released.filter((action) => action.kind === 'hold' && !action.hold).length, 1);
  const after = run([...looks, { atMs: 3030, pages: atEnd(64, 1) }], context());
  t.equal(kindsOf(after).at(-1), 'start-postcopy');
  t.end();
});

t.test('once nothing is seen of pages any more, it goes on as on a stock QEMU', (t) => {
  const actions = run(
    [
      { atMs: 1000, pages: { pagesByHeat: HOT, pendingPages: 90_000, deferredPages: 16_384 } },
      { atMs: 1500, pages: null },
    ],
    context(),
  );
  t.same(kindsOf(actions).slice(-3), ['set-parameters', 'defer', 'hold']);
  t.match(actions.at(-3), { change: { downtimeLimitMs: 1 } });
  t.match(actions.at(-2), { leastHeat: null });
  t.match(actions.at(-1), { hold: false });
  t.end();
});

t.test('the operator’s bandwidth is what it begins with', (t) => {
  const deferred = (maxBandwidthBytesPerSec: number): number => {
    const seen = pages({ pagesByHeat: byHeat({ 0: 496, 16: 16 }), pendingPages: null, endsRound: null });
    const { parameters } = policyContext({});
    const asked = context({ pages: seen, parameters: { ...parameters, maxBandwidthBytesPerSec } });
    const defer = run([], { ...asked, postcopyReady: false }).find(({ kind }) => kind === 'defer');
    return defer?.reason.numbers['deferredBytes'] ?? 0;
  };
  t.equal(deferred(0), 16 * MIB, 'no limit: 16 MiB cross within 300 ms');
  t.equal(deferred(10e6), 0, 'at 10 MB/s they do not');
  t.end();
});

t.test('rounds over the rest go on while they shrink', (t) => {
  const shrinking = run(
    [
      { atMs: 3000, pages: atEnd(64, 20) },
      { atMs: 3200, pages: atEnd(64, 8) },
      { atMs: 3300, pages: atEnd(64, 2) },
    ],
    context(),
  );
  t.equal(kindsOf(shrinking).at(-1), 'start-postcopy');
  const first = run([{ atMs: 3000, pages: atEnd(64, 20) }], context());
  t.notOk(kindsOf(first).includes('start-postcopy'), 'a round over 20 MiB pays');
  const stuck = run(
    [
      { atMs: 3000, pages: atEnd(64, 20) },
      { atMs: 3200, pages: atEnd(64, 19) },
    ],
    context(),
  );
  t.equal(kindsOf(stuck).at(-1), 'start-postcopy', 'one over 19 more does not');
  t.end();
});

t.test('a guest that has just begun to write is not run after in rounds', (t) => {
  // 22 MiB are sent between the two looks.
  const endsWith = (residualMib: number, fields: Partial<PolicyContext> = {}): string | undefined =>
    kindsOf(
      run(
        [
          { atMs: 2800, sentBytes: 300 * MIB, pages: middle(40, 40) },
          { atMs: 3000, sentBytes: 322 * MIB, pages: atEnd(40, residualMib) },
        ],
        context(fields),
      ),
    ).at(-1);
  t.equal(endsWith(36), 'start-postcopy', '18 MiB were dirtied meanwhile');
  t.not(endsWith(22), 'start-postcopy', '4 MiB were');
  t.not(endsWith(36, { postcopyReady: false }), 'start-postcopy', 'there is no post-copy');
  t.end();
});

t.test(
  'where post-copy is forbidden and pre-copy cannot finish either, it begins as on a stock QEMU',
  (t) => {
    const forbidden = { objective: { ...OBJECTIVE, postcopy: 'forbidden' as const }, postcopyReady: false };
    t.same(kindsOf(run([], context(forbidden))), ['set-parameters']);
    // It seemed to fit, and does not: from there on as on a stock QEMU.
    const seen = pages({ pagesByHeat: byHeat({ 0: 496, 16: 16 }), pendingPages: null, endsRound: null });
    const actions = run(
      [
        { atMs: 3000, pages: atEnd(16, 64) },
        { atMs: 3700, pages: atEnd(16, 64) },
      ],
      context({ ...forbidden, pages: seen }),
    );
    t.same(kindsOf(actions).slice(-3), ['set-parameters', 'defer', 'hold']);
    t.match(actions.at(-2), { leastHeat: null });
    t.match(actions.at(-3), { change: { downtimeLimitMs: 1 } });
    t.end();
  },
);

t.test('a pass that does not end is not looked into any more, so that it does', (t) => {
  const middle = { pagesByHeat: HOT, pendingPages: 30_000, deferredPages: 16_384 };
  const actions = run(
    [
      { atMs: 4000, pages: middle },
      { atMs: 6000, pages: middle },
      { atMs: 6200, pages: middle },
    ],
    context(),
  );
  t.equal(
    actions.filter((action) => action.kind === 'hold' && action.hold && action.sampleMs === 0).length,
    1,
  );
  t.end();
});
