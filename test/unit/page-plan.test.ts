// SPDX-License-Identifier: Apache-2.0
// The arithmetic of what to leave out of a first pass, and of how it is to end.

import t from 'tap';
import { planCold } from '../../src/decide/cold-plan.ts';
import { type FirstWrites, stepFirstWrites } from '../../src/decide/first-writes.ts';
import { planEnd } from '../../src/decide/page-end.ts';
import { planDeferral } from '../../src/decide/page-plan.ts';
import { DEFAULT_WEIGHTS } from '../../src/decide/index.ts';
import {
  type CostWeights,
  HEAT_CLASSES,
  heatClassOf,
  leastHeatOf,
  type PageSummary,
} from '../../src/model/index.ts';
import { GIGABIT_BYTES_PER_SEC, MIB } from './support/observation.ts';
import { byHeat, pages } from './support/pages.ts';
import { policyContext } from './support/policy-context.ts';

t.test('classes of heat cover all of it, each once', (t) => {
  const classes = Array.from({ length: 256 }, (_, heat) => heatClassOf(heat));
  t.equal(classes[0], 0);
  t.equal(classes[255], HEAT_CLASSES - 1);
  t.ok(classes.every((heatClass, heat) => leastHeatOf(heatClass) <= heat));
  t.ok(classes.every((heatClass, heat) => heatClass === 16 || leastHeatOf(heatClass + 1) > heat));
  t.end();
});

t.test('what is written again and again is left out, what is written now and then is not', (t) => {
  const plan = planDeferral(
    pages({ pagesByHeat: byHeat({ 0: 192, 1: 256, 12: 64 }) }),
    GIGABIT_BYTES_PER_SEC,
  );
  t.equal(plan.leastHeat, leastHeatOf(12));
  t.equal(plan.deferredBytes, 64 * MIB);
  t.ok(plan.savedBytes > 60 * MIB, 'nearly all of it would have been sent twice');
  t.ok(plan.stallMs < 50, 'and few of its pages would have been there');
  t.same(planDeferral(pages({}), GIGABIT_BYTES_PER_SEC), {
    leastHeat: null,
    deferredBytes: 0,
    savedBytes: 0,
    stallMs: 0,
    coldBytes: 0,
  });
  t.end();
});

t.test('a set of half the memory that is rewritten every 1.3 s is left out, all of it', (t) => {
  // Dirty in one window of six or seven, so that its pages are hot to cool, by when they were written last.
  const summary = pages({ pagesByHeat: byHeat({ 0: 256, 2: 85, 3: 85, 4: 86 }) });
  t.equal(planDeferral(summary, GIGABIT_BYTES_PER_SEC).deferredBytes, 256 * MIB);
  t.end();
});

t.test('on a faster link less is left out: a page is soon sent, and soon sent again', (t) => {
  const summary = pages({ pagesByHeat: byHeat({ 0: 256, 3: 256 }) });
  t.equal(planDeferral(summary, GIGABIT_BYTES_PER_SEC).deferredBytes, 256 * MIB);
  t.equal(planDeferral(summary, 100 * GIGABIT_BYTES_PER_SEC).deferredBytes, 0);
  t.end();
});

t.test("by the operator's weights more is left out, or less", (t) => {
  const seldom = { pagesByHeat: byHeat({ 0: 256, 1: 128, 12: 128 }) };
  const deferred = (weights: Partial<CostWeights>, written = seldom) =>
    planDeferral(pages(written), GIGABIT_BYTES_PER_SEC, { weights: { ...DEFAULT_WEIGHTS, ...weights } })
      .deferredBytes / MIB;
  t.equal(deferred({}), 128);
  t.equal(deferred({ slowdown: 0.1 }), 256, 'a guest that may wait');
  t.equal(deferred({ bytes: 10 }), 256, 'a link that is paid by the byte');
  const often = { pagesByHeat: byHeat({ 0: 256, 2: 128, 12: 128 }) };
  t.equal(deferred({}, often), 256);
  t.equal(deferred({ slowdown: 10 }, often), 128, 'a guest that may not');
  t.end();
});

t.test('an end by pre-copy has nobody wait for pages, whatever that weighs', (t) => {
  const planned = (seen: PageSummary, postcopyReady: boolean, slowdown: number) => {
    const context = policyContext({ postcopyReady });
    const objective = { ...context.objective, weights: { ...DEFAULT_WEIGHTS, slowdown } };
    const { endsBy, plan } = planEnd({ ...context, objective }, seen, GIGABIT_BYTES_PER_SEC, null);
    return `${endsBy} ${plan.deferredBytes / MIB}`;
  };
  const small = pages({ pagesByHeat: byHeat({ 0: 496, 2: 8, 16: 8 }) });
  t.equal(planned(small, false, 1), 'precopy 16');
  t.equal(planned(small, false, 1000), 'precopy 16');
  const large = pages({ pagesByHeat: byHeat({ 0: 256, 2: 128, 12: 128 }) });
  t.equal(planned(large, true, 1), 'postcopy 256');
  t.equal(planned(large, true, 10), 'postcopy 128');
  t.end();
});

/** As seen 400 ms apart, with so much of the memory not seen written yet. */
function firstWrites(beforeMib: number, nowMib: number): FirstWrites {
  const look = (mib: number) => pages({ pagesByHeat: byHeat({ 0: mib }) });
  return stepFirstWrites(
    stepFirstWrites(null, { atMs: 1000 }, look(beforeMib)),
    { atMs: 1400 },
    look(nowMib),
  );
}

t.test('the pace of first writes is that between two looks far enough apart', (t) => {
  const look = (mib: number) => pages({ pagesByHeat: byHeat({ 0: mib }) });
  const first = stepFirstWrites(null, { atMs: 1000 }, look(400));
  t.equal(first.perMs, null, 'one look tells none');
  t.equal(stepFirstWrites(first, { atMs: 1399 }, look(300)), first, 'too soon');
  t.ok(Math.abs((firstWrites(400, 360).perMs ?? 0) - Math.log(400 / 360) / 400) < 1e-9);
  t.equal(firstWrites(400, 0).perMs, 0, 'none is left');
  t.end();
});

t.test('where all the memory is written now and then, some of what is cold is left to the push', (t) => {
  const seen = pages({ pagesByHeat: byHeat({ 0: 392, 16: 120 }) });
  const coldMib = (writes: FirstWrites | null, hotMib = 120): number =>
    planCold(seen, GIGABIT_BYTES_PER_SEC, hotMib * MIB, writes).coldBytes / MIB;
  // Of 512 MiB two fifths are left to the push, the hot pages among them.
  t.ok(coldMib(firstWrites(408, 392)) > 86 && coldMib(firstWrites(408, 392)) < 96);
  t.equal(coldMib(firstWrites(408, 392), 250), 0, 'more than that is hot');
  t.equal(coldMib(firstWrites(392, 392)), 0, 'none of them is written');
  t.equal(coldMib(firstWrites(392.5, 392)), 0, 'hardly any of them is');
  t.equal(coldMib(null), 0, 'nothing is known of that yet');
  t.end();
});

t.test(
  'an end by pre-copy is given up for the pages, too, that are not seen written before they are sent',
  (t) => {
    // 8 MiB are always hot, 24 were written once: the hot ones alone fit into the maximum downtime.
    const seen = pages({ pagesByHeat: byHeat({ 0: 480, 1: 24, 16: 8 }) });
    const end = (writes: FirstWrites, postcopyReady = true) => {
      const { endsBy, plan } = planEnd(policyContext({ postcopyReady }), seen, GIGABIT_BYTES_PER_SEC, writes);
      return { endsBy, deferredMib: plan.deferredBytes / MIB, isCold: plan.coldBytes > 0 };
    };
    t.same(end(firstWrites(481, 480)), { endsBy: 'precopy', deferredMib: 8, isCold: false });
    t.same(end(firstWrites(496, 480)), { endsBy: 'postcopy', deferredMib: 32, isCold: true });
    t.same(end(firstWrites(496, 480), false), { endsBy: 'precopy', deferredMib: 8, isCold: false });
    t.end();
  },
);
