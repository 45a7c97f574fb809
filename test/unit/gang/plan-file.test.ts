// SPDX-License-Identifier: Apache-2.0
// The plan file of a gang: what it says, and how it is refused.

import t from 'tap';
import { GangPlanError, parseGangPlan } from '../../../src/control/index.ts';

const GOOD = `
schema: slackwater/gang@1
source: { nic: eth0, link: 1gbit }
destination: { nic: eth0, link: 1gbit, ssh: root@b, address: 10.0.0.2 }
workloads: { lower: 200mbit, upper: 500mbit }
defaults: { priority: low, max-downtime: 200ms }
vms:
  - { name: db, source: /run/db.qmp, destination: ssh:b:/run/db.qmp, to: 'tcp:10.0.0.2:4441', tap: tap0, priority: high, deadline: 60s }
  - { name: web, source: /run/web.qmp, destination: ssh:b:/run/web.qmp, to: 'tcp:10.0.0.2:4442' }
`;

t.test('what a plan says, with defaults', (t) => {
  const plan = parseGangPlan(GOOD, 'plan.yaml');
  t.match(plan, {
    policy: 'slackwater-gang',
    shaping: true,
    source: { place: { kind: 'here' }, nic: 'eth0', linkBytesPerSec: 125e6 },
    destination: { place: { kind: 'ssh', host: 'root@b' }, address: '10.0.0.2' },
    limits: { lowerBytesPerSec: 25e6, upperBytesPerSec: 62.5e6 },
    members: [
      { name: 'db', priority: 'high', objective: { maxDowntimeMs: 200, deadlineMs: 60_000 }, tap: 'tap0' },
      { name: 'web', priority: 'low', objective: { maxDowntimeMs: 200, deadlineMs: null }, tap: null },
    ],
  });
  t.end();
});

function problemsOf(text: string): string {
  try {
    parseGangPlan(text, 'plan.yaml');
  } catch (error) {
    if (error instanceof GangPlanError) return error.message;
    throw error;
  }
  return '';
}

t.test('everything that is wrong is told at once, each with its line', (t) => {
  const text = GOOD.replace('link: 1gbit }', 'link: 0 }')
    .replace('policy', 'polciy')
    .replace('name: web, source: /run/web.qmp', 'name: db, source: /run/db.qmp')
    .replace('upper: 500mbit', 'upper: 100mbit')
    .replace('priority: high', 'priority: urgent');
  const problems = problemsOf(text);
  t.match(problems, /^plan\.yaml:3: source\.link: expected a rate/m);
  t.match(problems, /^plan\.yaml:5: workloads\.upper: expected no less than lower/m);
  t.match(problems, /^plan\.yaml:8: vms\[0\]\.priority: expected medium, high or low, got "urgent"/m);
  t.match(problems, /^plan\.yaml:9: vms\[1\]: the name db is that of db already/m);
  t.match(problems, /^plan\.yaml:9: vms\[1\]: the monitor \/run\/db\.qmp is that of db already/m);
  t.end();
});

t.test('floors above the link, a retry that cannot be, unknown keys and hosts that are options', (t) => {
  t.match(
    problemsOf(GOOD.replace('200mbit', '2gbit').replace('500mbit', '3gbit')),
    /a floor of at most 90 %/,
  );
  t.match(
    problemsOf(GOOD.replace('tap: tap0', 'tap: tap0, on-failure: retry')),
    /on-failure: retry needs launch/,
  );
  t.match(
    problemsOf(GOOD.replace('tap: tap0', 'tap: tap0, group: 1')),
    /vms\[0\]: group is for policy as-written/,
  );
  t.equal(problemsOf(`policy: as-written${GOOD.replace('tap: tap0', 'tap: tap0, group: 1')}`), '');
  t.match(problemsOf(GOOD.replace('defaults:', 'defualts:')), /did you mean defaults\?/);
  t.match(problemsOf(GOOD.replace('root@b', '-oProxyCommand=x')), /destination\.ssh: expected a host/);
  t.match(problemsOf(GOOD.replace("'tcp:10.0.0.2:4442'", 'unix:/x')), /where the destination listens/);
  t.match(
    problemsOf(GOOD.replace('tap: tap0', 'tap: tap0, technique: hybrid, postcopy: forbidden')),
    /technique hybrid needs post-copy/,
  );
  t.match(
    problemsOf(GOOD.replace("'tcp:10.0.0.2:4442'", "'tcp:10.0.0.3:4441'")),
    /the port 4441 is that of db already/,
    'streams are told apart by ports',
  );
  t.match(
    problemsOf(`${GOOD}shaping: false\nreservation: algorithm-2\n`),
    /carried out by shaping, which is off/,
  );
  t.match(problemsOf('vms: []'), /plan\.yaml:1: schema/);
  t.end();
});
