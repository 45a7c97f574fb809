// SPDX-License-Identifier: Apache-2.0
// What of an experiment's hosts is told before the first run.

import t from 'tap';
import { expandExperiment, parseExperiment } from '../../../src/experiment/index.ts';
import { checkPlan } from '../../../testbed/experiment/check-plan.ts';

const HERE = `schema: slackwater/experiment@1
name: small
title: A small one
guests: [{ name: hot, memory: 1GiB, workload: steady-64m }]
links: [lan-1g]
policies: [adaptive]
repeats: 1
cap: 20s
`;

/** Nobody answers on these ports. */
const host = (port: number, address: string): string =>
  `{ ssh: 'ssh://127.0.0.1:${port}', nic: eth1, address: ${address}, qemu: /usr/bin/qemu-system-x86_64 }`;

const ELSEWHERE = `${HERE}hosts:
  source: ${host(1, '10.0.0.1')}
  destination: ${host(2, '10.0.0.2')}
  client: { ssh: 'ssh://127.0.0.1:3', address: 10.0.0.3 }
  guest: { address: 10.0.0.10/24 }
`;

async function check(text: string): Promise<void> {
  const experiment = parseExperiment(text, 'x.yaml');
  await checkPlan(expandExperiment(experiment), experiment, '/somewhere/x.yaml');
}

t.test('hosts that cannot be reached are told, all of them', async (t) => {
  await t.rejects(check(ELSEWHERE), {
    code: 'ERR_REFUSED',
    message: /client: host ssh:.*:3: (.|\n)*destination: host ssh:.*:2: (.|\n)*source: host ssh:.*:1: /,
  });
});

t.test(
  'only real machines have a link of their own, and nothing is scaled by a rate that nobody knows',
  async (t) => {
    await t.rejects(check(HERE.replace('lan-1g', 'native')), /link native: .*only real hosts/);
    await t.rejects(
      check(ELSEWHERE.replace('lan-1g', 'native').replace('[adaptive]', '[nova-abort@scaled]')),
      /link native: .*nova-abort@scaled/,
    );
  },
);

t.test('a workload with a disk is refused where the hosts share none', async (t) => {
  await t.rejects(
    check(ELSEWHERE.replace('steady-64m', 'fio-ext4')),
    /guest hot: .*without a disk.*fio-ext4/,
  );
});
