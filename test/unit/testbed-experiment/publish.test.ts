// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { parseExperiment, type RunRecord } from '../../../src/experiment/index.ts';
import { publishResults } from '../../../testbed/experiment/publish.ts';
import { readResults, readTimeline } from '../../../testbed/experiment/read-results.ts';
import { FULL } from '../support/experiments.ts';
import { runRecord } from '../support/run-records.ts';

/** A result directory of two runs, with their files. */
function results(directory: string): RunRecord[] {
  const records = [0, 1].map((repeat) =>
    runRecord({
      repeat,
      files: { trace: null, series: `runs/${repeat}/series.json`, logs: [`runs/${repeat}/qemu.log`] },
    }),
  );
  for (const { files } of records) {
    for (const path of [files.series ?? '', ...files.logs]) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), '{"work":[],"silences":[]}');
    }
  }
  writeFileSync(join(directory, 'experiment.yaml'), FULL);
  writeFileSync(
    join(directory, 'runs.jsonl'),
    records.map((record) => `${JSON.stringify(record)}\n`).join(''),
  );
  return records;
}

t.test('what is published keeps every record, the files that are drawn, and no logs', (t) => {
  const from = t.testdir();
  const to = join(from, 'published');
  const records = results(from);
  publishResults(from, to, records, { drawn: new Set(records.slice(1)), allTraces: false });
  const published = readResults(to);
  t.equal(published.name, parseExperiment(FULL, 'x').name);
  t.same(
    published.records.map(({ repeat, tmtMs, files }) => ({ repeat, tmtMs, files })),
    [
      { repeat: 0, tmtMs: 5200, files: { trace: null, series: null, logs: [] } },
      { repeat: 1, tmtMs: 5200, files: { trace: null, series: 'runs/1/series.json', logs: [] } },
    ],
  );
  t.notOk(existsSync(join(to, 'runs/0')));
  t.same(readTimeline(to, published.records[1]!).series, { work: [], silences: [] });
  t.throws(
    () => publishResults(from, to, records, { drawn: new Set(), allTraces: false }),
    /something in .* already/,
  );
  t.end();
});

t.test('with all traces what others draw is left out, and every migration can be replayed', (t) => {
  const from = t.testdir();
  const to = join(from, 'published');
  const records = results(from).map((record, i) => {
    const trace = `runs/${i}/trace.msgpack`;
    writeFileSync(join(from, trace), 'x');
    return { ...record, files: { ...record.files, trace } };
  });
  publishResults(from, to, records, { drawn: new Set(), allTraces: true });
  const published = readResults(to).records;
  t.ok(published.every(({ files }) => files.trace !== null && files.series === null));
  t.ok(published.every(({ files }) => existsSync(join(to, files.trace!))));
  t.end();
});
