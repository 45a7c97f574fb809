// SPDX-License-Identifier: Apache-2.0
// `npm run soak -- [--count 200] [--results DIR] [--seed N]`: migrations through everything that a patched QEMU can be had to
// do, each with the check of the guest's memory. A line of JSON each in DIR/soak.jsonl; called again, it goes on after the last.

import { parseArgs } from 'node:util';
import { seededRandom } from '../src/report/index.ts';
import { ensurePatchedQemu } from '../testbed/image/index.ts';
import {
  carryOutCase,
  describeCase,
  soakCase,
  type SoakResult,
  withHugePages,
} from '../testbed/soak/index.ts';
import { openLaboratory } from '../testbed/stage/laboratory.ts';
import { openLines } from './resumable-lines.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '200' },
    results: { type: 'string', default: 'soak-results' },
    seed: { type: 'string', default: '1' },
  },
});

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const lines = openLines<SoakResult>(values.results, 'soak.jsonl');
const laboratory = await openLaboratory(say);
const patchedPath = await ensurePatchedQemu({ onProgress: say });
// Two guests of 256 MiB.
const HUGE_PAGES = 260;
await withHugePages(HUGE_PAGES, async () => {
  for (let index = lines.results.length; index < Number(values.count); index++) {
    const each = soakCase(index);
    const result = await carryOutCase(each, {
      laboratory,
      patchedPath,
      stockPath: '/usr/bin/qemu-system-x86_64',
      random: seededRandom(Number(values.seed) * 1000 + index),
    });
    lines.append(result);
    say(`${describeCase(each)}: ${result.problems.length === 0 ? 'held' : result.problems.join('; ')}`);
  }
});
const failed = lines.results.filter(({ problems }) => problems.length > 0).length;
say(`${values.count} migrations, ${failed} with problems`);
process.exitCode = failed > 0 ? 1 : 0;
