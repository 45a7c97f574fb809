// SPDX-License-Identifier: Apache-2.0
import t from 'tap';
import { parsePageReporting } from '../../../testbed/experiment/page-reporting.ts';

t.test('free pages are reported up to the largest order, and not beyond it', (t) => {
  t.equal(parsePageReporting('9\n'), 'on');
  t.equal(parsePageReporting('10\n'), 'on');
  t.equal(parsePageReporting('11\n'), 'off');
  t.equal(parsePageReporting('4294967295\n'), 'off', 'as long as no driver asked for it');
  t.equal(parsePageReporting('Y\n'), null);
  t.equal(parsePageReporting(''), null);
  t.end();
});
