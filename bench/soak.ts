// SPDX-License-Identifier: Apache-2.0
// `npm run soak -- [--count 200] [--results DIR] [--seed N]`: migrations through everything that a patched QEMU can be had to
// do, each with the check of the guest's memory. A line of JSON each in DIR/soak.jsonl; called again, it goes on with what is missing.

import { parseArgs } from 'node:util';
import { ensurePatchedQemu } from '../testbed/image/index.ts';
import { carryOutCases, describeCase, type SoakResult } from '../testbed/soak/index.ts';
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
const done = new Set(lines.results.map(({ case: { index } }) => index));
const left = Array.from({ length: Number(values.count) }, (_, index) => index).filter(
  (index) => !done.has(index),
);
const options = {
  laboratory,
  patchedPath,
  stockPath: '/usr/bin/qemu-system-x86_64',
  seed: Number(values.seed),
};
await carryOutCases(left, options, (result) => {
  lines.append(result);
  say(`${describeCase(result.case)}: ${result.problems.length === 0 ? 'held' : result.problems.join('; ')}`);
});
const failed = lines.results.filter(({ problems }) => problems.length > 0).length;
say(`${lines.results.length} migrations, ${failed} with problems`);
process.exitCode = failed > 0 ? 1 : 0;
