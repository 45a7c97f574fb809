// SPDX-License-Identifier: Apache-2.0
// Where the native addon is not to be had, that is told, and told once.

import t from 'tap';
import { addonLoader } from '../../../src/bitmap/addon.ts';
import { plainKernels } from '../../../src/bitmap/index.ts';

t.test('whoever listens first hears why there is no addon, and nobody else', (t) => {
  let loads = 0;
  const load = addonLoader(() => {
    loads += 1;
    return { addon: null, kernels: plainKernels, reason: 'no such file' };
  });
  const heard: string[] = [];
  t.equal(load().kernels, plainKernels, 'asked by somebody who does not listen');
  load((reason) => heard.push(`first: ${reason}`));
  load((reason) => heard.push(`second: ${reason}`));
  t.same(heard, ['first: no native addon, page sets are slower: no such file']);
  t.equal(loads, 1);
  t.end();
});
