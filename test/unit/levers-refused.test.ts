// SPDX-License-Identifier: Apache-2.0
// Where a patched QEMU is used as a stock one.

import t from 'tap';
import { againstLevers } from '../../src/control/levers-refused.ts';

t.test('what QEMU would refuse to leave pages out with stands against the levers', (t) => {
  const on = (...names: string[]) =>
    new Map([['multifd', true], ...names.map((name) => [name, true] as const)]);
  t.equal(againstLevers('tcp:10.0.0.2:4444', on()), null);
  t.equal(againstLevers('tcp:10.0.0.2:4444', new Map([['x-colo', false]])), null);
  t.equal(againstLevers('tcp:10.0.0.2:4444', on('x-colo')), 'x-colo is on');
  t.equal(againstLevers('file:/tmp/guest', on('mapped-ram')), 'mapped-ram is on');
  t.match(againstLevers('rdma:10.0.0.2:4444', on()), /RDMA/);
  t.end();
});
