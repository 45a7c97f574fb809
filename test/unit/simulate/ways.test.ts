// SPDX-License-Identifier: Apache-2.0
// What is said before a migration: every way at every link and limit, and one recommendation.

import t from 'tap';
import { parseExperiment } from '../../../src/experiment/index.ts';
import { expandExperiment } from '../../../src/experiment/index.ts';
import { policyByName } from '../../../src/decide/index.ts';
import {
  estimateWays,
  guestOfPattern,
  policyNameOf,
  profileOf,
  recommendation,
  simulateRun,
} from '../../../src/simulate/index.ts';
import { MIB } from '../support/observation.ts';

const hot = guestOfPattern(512 * MIB, 0, { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB });
const inputs = {
  profile: profileOf(hot, 10_000),
  linksBytesPerSec: [117e6, 1.17e9],
  maxDowntimesMs: [300, 1000],
  mayPostcopy: true,
  shortensQueue: false,
};

t.test('every way, link and limit is estimated, with bands round what is expected', (t) => {
  const estimates = estimateWays(inputs)!;
  t.equal(estimates.length, 4 * 2 * 2);
  for (const { tmtMs, downtimeMs, converges, way } of estimates) {
    if (!converges) continue;
    t.ok(tmtMs!.low <= tmtMs!.expected && tmtMs!.expected <= tmtMs!.high, way);
    t.ok(downtimeMs!.low <= downtimeMs!.expected && downtimeMs!.expected <= downtimeMs!.high, way);
  }
  const at = (way: string, link: number, limit: number) =>
    estimates.find(
      (each) => each.way === way && each.linkBytesPerSec === link && each.maxDowntimeMs === limit,
    )!;
  t.equal(at('pre-copy', 117e6, 300).converges, false);
  t.equal(at('pre-copy', 1.17e9, 300).converges, true);
  t.equal(at('adaptive', 117e6, 300).fits, true);
  t.match(
    recommendation(estimates),
    /^take (adaptive|hybrid) at 117\.0 MB\/s with at most 300 ms.*post-copy/,
  );
  t.end();
});

t.test('a send queue that can be made short makes the switch, and the adaptive way with it, sooner', (t) => {
  const tmtMs = (shortensQueue: boolean): number =>
    estimateWays({ ...inputs, shortensQueue })!.find(({ way }) => way === 'adaptive')!.tmtMs!.expected;
  t.ok(tmtMs(true) < 0.95 * tmtMs(false), `${tmtMs(true)} ms instead of ${tmtMs(false)} ms`);
  t.end();
});

t.test('without post-copy it is said what is missing', (t) => {
  const estimates = estimateWays({
    ...inputs,
    mayPostcopy: false,
    linksBytesPerSec: [30e6],
    maxDowntimesMs: [50],
  })!;
  t.notOk(estimates.some(({ usedPostcopy }) => usedPostcopy));
  t.notOk(estimates.some(({ way }) => way === 'hybrid'));
  t.match(
    recommendation(estimates.filter(({ way }) => way !== 'auto-converge')),
    /no way completes|comes nearest/,
  );
  t.end();
});

t.test('a profile that shows nothing gives no estimate', (t) => {
  t.equal(estimateWays({ ...inputs, profile: { memoryBytes: 512 * MIB, samples: [] } }), null);
  t.end();
});

t.test('a planned run becomes a record as a real one does', (t) => {
  const experiment = parseExperiment(
    `schema: slackwater/experiment@1
name: small
title: Small
guests: [{ name: hot, memory: 512MiB, workload: steady-64m }]
links: [lan-1g]
policies: [qemu-default, nova-abort@scaled, { name: watched, policy: adaptive, profile: 10s, objective: { postcopy: forbidden } }]
repeats: 1
cap: 20s
`,
    'small.yaml',
  );
  const source = {
    kind: 'pattern',
    pattern: { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB },
  } as const;
  const [stock, nova, watched] = expandExperiment({ ...experiment, control: null }).map((run) =>
    simulateRun(run, experiment, source, policyByName(policyNameOf(run, null))!),
  );
  t.match(stock, { policy: 'qemu-default', outcome: 'source-running', capped: true, tmtMs: null });
  t.match(nova, { policy: 'nova-abort@scaled' });
  t.match(watched, { outcome: 'source-running', capped: false, waitedMs: 0 });
  t.end();
});
