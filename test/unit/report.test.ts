// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import t from 'tap';
import {
  buildReport,
  chooseTimelineRuns,
  holm,
  pairedDifference,
  proportion,
  rankPermutationTest,
  ratioOfMedians,
  renderCsv,
  renderHtml,
  renderJson,
  renderMarkdown,
  seededRandom,
  signFlipTest,
  summarize,
} from '../../src/report/index.ts';
import {
  anyRecord,
  capped,
  cappedRecord,
  cellOf,
  hostilePage,
  longTimelineInput,
  parseCsv,
  reportOf,
  resultSet,
  runRecord,
  runsOf,
  standardNormal,
  svgsOf,
  timelineInput,
  verdictsOf,
  xmlProblem,
} from './support/run-records.ts';

t.test('the worked examples of the statistics hold', (t) => {
  const random = seededRandom(1);
  const summary = summarize([3, 1, 2], random)!;
  t.same([summary.n, summary.median, summary.min, summary.max], [3, 2, 1, 3]);
  t.same(summary.median95, { low: 1, high: 3 });
  t.equal(summarize([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], random)!.p90, 10);
  t.equal(summarize([], random), null);
  const wilson = proportion(9, 10)!;
  t.match([wilson.rate95.low.toFixed(3), wilson.rate95.high.toFixed(3)], ['0.596', '0.982']);
  t.equal(proportion(10, 10)!.rate95.low.toFixed(3), '0.722');
  t.equal(proportion(0, 0), null);
  const ratio = ratioOfMedians([5, 5.2, 5.4], [4, 4, 4], random)!;
  t.equal(ratio.ratio.toFixed(2), '1.30');
  t.same([ratio.ratio95.low.toFixed(2), ratio.ratio95.high.toFixed(2)], ['1.25', '1.35']);
  t.equal(ratioOfMedians([1], [0], random), null);
  t.equal(signFlipTest([1, 2, 3], random), 0.25);
  const pairs = [5, 6, 7].map((first) => ({ first, second: 4 }));
  t.equal(pairedDifference(pairs, random)!.median, -2);
  t.ok(Math.abs(rankPermutationTest([1, 2, 3], [4, 5, 6], random) - 0.1) < 0.01);
  t.same(
    holm([0.01, 0.04, 0.03]).map((p) => p.toFixed(2)),
    ['0.03', '0.06', '0.06'],
  );
  t.end();
});

t.test(
  'intervals enclose their estimate and stay within what was measured; the same seed gives the same',
  (t) => {
    const values = fc.array(fc.double({ min: 0.001, max: 1e6, noNaN: true }), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(values, fc.integer(), (list, seed) => {
        const { median, median95, min, max } = summarize(list, seededRandom(seed))!;
        const again = summarize(list, seededRandom(seed))!.median95;
        return (
          min <= median95.low &&
          median95.low <= median &&
          median <= median95.high &&
          median95.high <= max &&
          again.low === median95.low &&
          again.high === median95.high
        );
      }),
      { numRuns: 50 },
    );
    fc.assert(
      fc.property(fc.nat(50), fc.integer({ min: 1, max: 50 }), (successes, n) => {
        const { rate, rate95 } = proportion(Math.min(successes, n), n)!;
        return 0 <= rate95.low && rate95.low <= rate && rate <= rate95.high && rate95.high <= 1;
      }),
    );
    t.end();
  },
);

t.test('the bootstrap interval covers the true median about as often as it says', (t) => {
  const trials = 400;
  let covered = 0;
  for (let seed = 0; seed < trials; seed++) {
    const random = seededRandom(seed);
    // Skewed like migration times: the median of exp(normal) is 1.
    const values = Array.from({ length: 12 }, () => Math.exp(standardNormal(random)));
    const { low, high } = summarize(values, random)!.median95;
    if (low <= 1 && 1 <= high) covered++;
  }
  t.ok(covered / trials > 0.91 && covered / trials < 0.98, `${covered} of ${trials}`);
  t.end();
});

t.test('tests of no difference are below 0.05 about one time in twenty', (t) => {
  const trials = 400;
  const falseAlarms = { exact: 0, sampled: 0, ranks: 0 };
  for (let seed = 0; seed < trials; seed++) {
    const random = seededRandom(seed);
    const draw = (n: number) => Array.from({ length: n }, () => standardNormal(random));
    if (signFlipTest(draw(10), random) < 0.05) falseAlarms.exact++;
    if (seed < 100 && signFlipTest(draw(14), random) < 0.05) falseAlarms.sampled++;
    if (rankPermutationTest(draw(8), draw(10), random, 500) < 0.05) falseAlarms.ranks++;
  }
  // Beyond these by chance less than once in a thousand.
  t.ok(falseAlarms.exact > 5 && falseAlarms.exact < 36, `${falseAlarms.exact} of ${trials}`);
  t.ok(falseAlarms.sampled < 14, `${falseAlarms.sampled} of 100`);
  t.ok(falseAlarms.ranks > 5 && falseAlarms.ranks < 36, `${falseAlarms.ranks} of ${trials}`);
  t.end();
});

t.test('Holm never lowers a p, and keeps their order', (t) => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }), (pValues) => {
      const adjusted = holm(pValues);
      return pValues.every(
        (p, i) => adjusted[i]! >= p && pValues.every((q, j) => p >= q || adjusted[i]! <= adjusted[j]!),
      );
    }),
  );
  t.end();
});

t.test('one attempt of each run counts, the others are counted', (t) => {
  const cell = cellOf(
    [
      runRecord({ tmtMs: 9000, disturbances: ['steal 12 %'] }),
      runRecord({ tmtMs: 5000, attempt: 1 }),
      runRecord({ repeat: 1, outcome: 'failed', tmtMs: null }),
      runRecord({ repeat: 1, tmtMs: 5200, attempt: 1 }),
      runRecord({ repeat: 2, outcome: 'failed', tmtMs: null }),
      runRecord({ kind: 'control', guest: 'idle', tmtMs: 1 }),
    ],
    'adaptive',
  );
  t.same(cell.tmtMs!.values, [5000, 5200]);
  t.same(cell.attempts, { all: 5, disturbed: 1, failed: 2 });
  t.equal(cell.disturbedRuns, 0);
  t.equal(cell.completion!.n, 2, 'a run that could not be carried out is nobody’s failure');
  t.equal(cell.floorRatio!.median.toFixed(3), (5100 / 4300).toFixed(3));
  t.equal(cell.slowdownRatio!.median.toFixed(2), '0.10');
  t.equal(cell.lostWorkMs, null, 'of records from before it was kept');
  t.end();
});

t.test('capped, missing and unmeasured cells are shown as such', (t) => {
  const records = [
    ...capped('adaptive'),
    runRecord({ policy: 'oracle', workPerSec: { before: 0, during: 1, after: null } }),
  ];
  const cell = cellOf(records, 'adaptive');
  t.match(cell, { cappedRuns: 2, hopeless: true, tmtMs: null, downtimeGuestMs: null, regret: null });
  t.equal(cell.completion!.rate, 0);
  const missing = cellOf(records, 'hybrid-2');
  t.match(missing, { completion: null, attempts: { all: 0 }, lostPages: null, slowdownRatio: null });
  t.equal(cellOf(records, 'oracle').slowdownRatio, null, 'not measured, rather than infinite');
  t.end();
});

t.test('lost work is told of completed runs, where the records have it', (t) => {
  const lostTo = (policy: string, lostWorkMs: number) => runRecord({ policy, lostWorkMs });
  const records = [lostTo('adaptive', 1200), { ...cappedRecord(), lostWorkMs: 9000 }];
  t.same(cellOf(records, 'adaptive').lostWorkMs!.values, [1200]);
  const markdownOf = (of: Parameters<typeof reportOf>[0]): string => renderMarkdown(reportOf(of));
  t.match(markdownOf(records), /\| lost work \|/);
  t.notMatch(markdownOf(runsOf('adaptive', 5000)), /\| lost work \|/);
  t.end();
});

t.test('of a guest that is busy and quiet by turns no slowdown is told', (t) => {
  const records = runsOf('adaptive', 5000);
  const told = (guestsByTurns: readonly string[]) => {
    const [setting] = buildReport(resultSet(records, { guestsByTurns }), seededRandom(1)).settings;
    return setting!.cells.find(({ policy }) => policy === 'adaptive')!.slowdownRatio;
  };
  t.ok(told(['another']));
  t.equal(told([records[0]!.guest]), null);
  t.end();
});

t.test('a cell is hopeless by as many attempts as the experiment makes', (t) => {
  const records = capped('adaptive').map((record) => ({ ...record, disturbances: ['the host was busy'] }));
  const hopeless = (maxAttempts: number): boolean | undefined =>
    buildReport(resultSet(records, { maxAttempts }), seededRandom(1)).settings[0]?.cells.find(
      ({ policy }) => policy === 'adaptive',
    )?.hopeless;
  t.equal(hopeless(1), true);
  t.equal(hopeless(3), false, 'a disturbed run is to be repeated yet');
  t.end();
});

t.test('regret is to the oracle where it was run, else to the fastest that always completed', (t) => {
  const runs = [
    ...runsOf('adaptive', 5000),
    ...runsOf('hybrid-2', 4000).slice(1),
    cappedRecord({ policy: 'hybrid-2' }),
  ];
  t.match(cellOf(runs, 'adaptive').regret, { reference: 'adaptive', kind: 'best', ratio: 1 });
  t.ok(cellOf(runs, 'hybrid-2').regret!.ratio < 1, 'it sometimes failed, so it is no reference');
  const withOracle = [...runs, ...runsOf('oracle', 4500)];
  t.match(cellOf(withOracle, 'adaptive').regret, { reference: 'oracle', kind: 'oracle' });
  t.end();
});

t.test('where pre-copy does not converge, the lowest or not told apart from it is green, else red', (t) => {
  const stuck = capped('qemu-default');
  const win = verdictsOf([...stuck, ...runsOf('adaptive', 5000), ...runsOf('hybrid-2', 6000)]);
  t.equal(win['lowest-tmt']!.state, 'green');
  t.match(win['lowest-tmt']!.text, /next is hybrid-2 with/);
  const tie = verdictsOf([...stuck, ...runsOf('adaptive', 5010), ...runsOf('hybrid-2', 5000)]);
  t.equal(tie['lowest-tmt']!.state, 'green');
  const loss = verdictsOf([
    ...stuck,
    ...runsOf('adaptive', 5000),
    ...runsOf('hybrid-2', 6000, { downtimeGuestMs: 100 }),
  ]);
  t.equal(loss['lowest-tmt']!.state, 'green');
  t.equal(loss['lowest-client-downtime']!.state, 'red');
  t.match(loss['lowest-client-downtime']!.text, /while hybrid-2 has .* more/);
  t.ok(loss['lowest-client-downtime']!.numbers['rivalMs']! < 110);
  const alone = verdictsOf([...stuck, ...runsOf('adaptive', 5000), ...capped('hybrid-2')]);
  t.match(alone['lowest-tmt'], { state: 'green', text: /no other policy finished/ });
  t.equal(alone['no-slower-than-precopy'], undefined);
  t.end();
});

t.test('the oracle is no rival, and a policy that mostly fails is none either', (t) => {
  const verdicts = verdictsOf([
    ...capped('qemu-default'),
    ...runsOf('adaptive', 5000),
    ...runsOf('oracle', 4000),
    ...runsOf('hybrid-2', 4000).slice(0, 3),
    ...Array.from({ length: 5 }, (_, index) => cappedRecord({ policy: 'hybrid-2', repeat: 3 + index })),
  ]);
  t.equal(verdicts['lowest-tmt']!.state, 'green');
  t.end();
});

t.test('where pre-copy converges, 3 % more is the limit for the upper end of the interval', (t) => {
  const precopy = runsOf('qemu-default', 5000);
  t.equal(verdictsOf([...precopy, ...runsOf('adaptive', 5000)])['no-slower-than-precopy']!.state, 'green');
  const slow = verdictsOf([...precopy, ...runsOf('adaptive', 5150)])['no-slower-than-precopy']!;
  t.equal(slow.state, 'red');
  t.match(slow.text, /1\.0\d\d times qemu-default .* above 1\.03/);
  t.end();
});

t.test('runs that did not finish are red, what the records cannot decide is open', (t) => {
  const failing = verdictsOf([
    ...capped('qemu-default'),
    ...runsOf('adaptive', 5000).slice(1),
    cappedRecord(),
  ]);
  t.match(failing['lowest-tmt'], {
    state: 'red',
    text: /did not finish 1 run of 10 \(1 ended by the time cap\)/,
  });
  t.equal(verdictsOf(runsOf('adaptive', 5000))['lowest-tmt']!.state, 'open');
  t.equal(verdictsOf([...capped('qemu-default'), runRecord()])['lowest-tmt']!.state, 'open');
  t.equal(verdictsOf(runsOf('qemu-default', 5000))['no-slower-than-precopy']!.state, 'open');
  t.same(
    reportOf(runsOf('mine', 5000), ['mine']).verdicts,
    [],
    'nothing is claimed without the adaptive policy',
  );
  t.end();
});

t.test('CSV holds every attempt, and gives back what went in', (t) => {
  const records = [runRecord({ disturbances: ['steal'] }), runRecord({ attempt: 1, tmtMs: null })];
  const [head, ...lines] = parseCsv(renderCsv(records));
  const column = (name: string) => lines.map((line) => line[head!.indexOf(name)]);
  t.same(column('counts'), ['false', 'true']);
  t.same(column('tmtMs'), ['5200', '']);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), (guest, reason) => {
      const [names, fields] = parseCsv(renderCsv([runRecord({ guest, reason })]));
      const back = (name: string) => fields![names!.indexOf(name)]!.replace(/^'(?='*[=+\-@\t\r])/, '');
      return fields!.length === names!.length && back('guest') === guest && back('reason') === reason;
    }),
    { examples: [['=1', "'@"]] },
  );
  t.match(renderCsv([runRecord({ guest: '=HYPERLINK("http://x")' })]), /"'=HYPERLINK\(""http:\/\/x""\)"/);
  t.end();
});

t.test('every figure is in the page, well-formed and described, and the page needs nothing else', (t) => {
  const { html, report, runs } = hostilePage('redis');
  const svgs = svgsOf(html);
  t.equal(svgs.length, 2 * report.settings.length + runs.length);
  t.equal(runs.length, 2);
  for (const svg of svgs) {
    t.equal(xmlProblem(svg), null);
    t.match(svg, /^<svg [^>]*role="img" aria-labelledby="([\w-]+)"><title id="\1">[^<]+<\/title>/);
  }
  t.match(html, /Total migration time by policy: redis on redis/);
  t.match(html, /not finished/);
  t.match(html, /post-copy/);
  t.notMatch(html, /<script|<link|<img|@import|url\(http|NaN|Infinity|undefined/);
  t.same(new Set(html.match(/https?:\/\/[^"\s]+/g)), new Set(['http://www.w3.org/2000/svg']));
  const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
  t.equal(new Set(ids).size, ids.length);
  t.end();
});

t.test('nothing from outside becomes markup', (t) => {
  const name = `<script>alert("1")</script>'&amp;|*[x](y)\n\u0000\ud800`;
  const { html, report } = hostilePage(name);
  t.notMatch(html, /<script/);
  t.ok(svgsOf(html).every((svg) => xmlProblem(svg) === null));
  const markdown = renderMarkdown(report);
  t.notMatch(markdown, /<script|[^\\]\[x\]/);
  const tables = markdown.split('\n').filter((line) => line.startsWith('|'));
  t.equal(new Set(tables.map((line) => line.replaceAll('\\|', '').split('|').length)).size, 1);
  t.match(JSON.parse(renderJson(report)), { schema: 'slackwater/report@1', title: name });
  t.end();
});

t.test('any records at all make a report', (t) => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 20 }), (records) => {
      const report = reportOf(records);
      const html = renderHtml(report, chooseTimelineRuns(report.settings).map(timelineInput));
      const texts = [html, renderMarkdown(report), renderCsv(records), renderJson(report)].join('\n');
      return !/NaN|Infinity|undefined/.test(texts) && svgsOf(html).every((svg) => xmlProblem(svg) === null);
    }),
    { numRuns: 40 },
  );
  t.match(renderHtml(reportOf([]), []), /no runs to report on yet/);
  t.end();
});

t.test('lost data is said at the top, not only in a table', (t) => {
  const report = reportOf([runRecord({ lostPages: 3, coherent: false })]);
  t.match(renderHtml(report, []), /hot64 on 1gbit, adaptive: lost 3 pages, coherence in 1 run/);
  t.match(renderMarkdown(report), /lost 3 pages/);
  t.end();
});

t.test('the runs shown from start to end are chosen by rule, and the page stays small', (t) => {
  const files = { trace: 't', series: null, logs: [] };
  const times = [5300, 4000, 5100, 9000, 5000];
  const links = Array.from({ length: 12 }, (_, index) => `link ${index}`);
  const records = links.flatMap((link) => [
    ...times.map((tmtMs, repeat) => runRecord({ link, repeat, tmtMs, files })),
    ...times.map((_, repeat) => cappedRecord({ link, policy: 'qemu-default', repeat, files })),
    runRecord({ link, policy: 'hybrid-2', files: { trace: null, series: null, logs: [] } }),
  ]);
  const report = reportOf(records, ['qemu-default', 'hybrid-2', 'adaptive']);
  const runs = chooseTimelineRuns(report.settings);
  const chosen = runs.slice(0, 2).map(({ policy, repeat }) => `${policy} ${repeat}`);
  t.same(chosen, ['adaptive 2', 'qemu-default 2']);
  t.equal(runs.length, 24);
  t.equal(chooseTimelineRuns(report.settings, 6).length, 6);
  const html = renderHtml(report, runs.map(longTimelineInput));
  t.ok(html.length < 3e6, `${html.length} bytes`);
  t.match(html, /Not shown, .*link 11/);
  t.end();
});
