// SPDX-License-Identifier: Apache-2.0
// The commands that need no QEMU, as a user calls them: simulate and replay.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { parseRunRecords } from '../../src/experiment/index.ts';
import { readResults } from '../../testbed/experiment/read-results.ts';

const ROOT = join(import.meta.dirname, '../..');
const MAIN = join(ROOT, 'dist/src/cli/main.js');

async function slackwater(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN, ...args], {
      cwd: ROOT,
      maxBuffer: 64 * 1024 * 1024,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

t.test('simulate carries a shipped experiment out in the model, and keeps what report reads', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'slackwater-simulate-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const results = join(folder, 'results');
  const first = await slackwater('simulate', 'converging', '--repeats', '2', '--results', results);
  t.equal(first.code, 0, first.stderr);
  t.match(first.stdout, /adaptive/);
  const records = parseRunRecords(readFileSync(join(results, 'runs.jsonl'), 'utf8'));
  t.equal(records.length, 6 * 2 * 2);
  t.ok(records.every(({ outcome }) => outcome === 'completed'));
  t.equal(readResults(results).records.length, records.length, 'as of real runs');
  const again = await slackwater('simulate', 'converging', '--repeats', '2', '--results', results);
  t.equal(again.code, 3, 'what is there is not written over');
  const json = await slackwater('simulate', 'converging', '--repeats', '2', '--json', '--jobs', '1');
  t.same((JSON.parse(json.stdout) as { records: unknown }).records, records, 'however many processes');
});

t.test('what cannot be simulated is said, with the remedy', async (t) => {
  const apps = await slackwater('simulate', 'apps');
  t.equal(apps.code, 2);
  t.match(apps.stderr, /no formula[\s\S]*--recordings/);
  t.equal((await slackwater('simulate', 'nowhere')).code, 2);
  t.equal((await slackwater('simulate', 'converging', '--repeats', '0')).code, 2);
});

t.test(
  'replay tells of a recorded migration what each policy would have done, the same each time',
  async (t) => {
    // Of the recordings that stay: which traces a result folder keeps changes with each measurement.
    const trace = join(ROOT, 'traces/tuning/runs/drift_1gbit_qemu-default_0/trace.msgpack');
    const args = ['replay', trace, '--policy', 'qemu-default,hybrid-1', '--json'];
    const { code, stdout, stderr } = await slackwater(...args);
    t.equal(code, 0, stderr);
    const { replays } = JSON.parse(stdout) as { replays: { policy: string; partsAtMs: number | null }[] };
    t.match(replays, [
      { policy: 'qemu-default', partsAtMs: null },
      { policy: 'hybrid-1', partsAtMs: Number },
    ]);
    t.equal((await slackwater(...args)).stdout, stdout);
    const text = await slackwater('replay', trace, '--policy', 'hybrid-1');
    t.match(text.stdout, /parts ways at .*\n[\s\S]*total/);
  },
);

t.test('replay refuses what is no trace, and a policy that there is not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'slackwater-replay-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'x');
  writeFileSync(path, 'nonsense');
  t.equal((await slackwater('replay', path)).code, 2);
  t.equal((await slackwater('replay', join(folder, 'y'))).code, 2);
  t.equal((await slackwater('replay', path, '--policy', 'no-such')).code, 2);
});
