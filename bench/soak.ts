// SPDX-License-Identifier: Apache-2.0
// `npm run soak -- [--count 200] [--results DIR] [--seed N]`: migrations through everything that a patched QEMU can be had to
// do, each with the check of the guest's memory. A line of JSON each in DIR/soak.jsonl; called again, it goes on after the last.

import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

const file = join(values.results, 'soak.jsonl');
mkdirSync(values.results, { recursive: true });
// A line that a killed soak has not ended is no result, and gone.
const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
const whole = text.slice(0, text.lastIndexOf('\n') + 1);
if (whole !== text) writeFileSync(file, whole);
const done = whole
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as SoakResult);
const laboratory = await openLaboratory(say);
const patchedPath = await ensurePatchedQemu({ onProgress: say });
let failed = done.filter(({ problems }) => problems.length > 0).length;
// Two guests of 256 MiB.
const HUGE_PAGES = 260;
await withHugePages(HUGE_PAGES, async () => {
  for (let index = done.length; index < Number(values.count); index++) {
    const each = soakCase(index);
    const result = await carryOutCase(each, {
      laboratory,
      patchedPath,
      stockPath: '/usr/bin/qemu-system-x86_64',
      random: seededRandom(Number(values.seed) * 1000 + index),
    });
    appendFileSync(file, `${JSON.stringify(result)}\n`);
    if (result.problems.length > 0) failed += 1;
    say(`${describeCase(each)}: ${result.problems.length === 0 ? 'held' : result.problems.join('; ')}`);
  }
});
say(`${values.count} migrations, ${failed} with problems`);
process.exitCode = failed > 0 ? 1 : 0;
