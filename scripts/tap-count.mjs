// SPDX-License-Identifier: Apache-2.0
// Counts tests in TAP, line by line. A test is an innermost named `t.test`; a file without any is one test itself. Assertions
// are not counted: how many a test makes says nothing. Pure.

/** Reads TAP; `onTest` is called with each finished test, `counts` and `failures` hold the sums. */
export class TapCounter {
  constructor(onTest = () => undefined) {
    this.onTest = onTest;
    this.counts = { passed: 0, failed: 0, skipped: 0 };
    /** Of each failure: where, and the diagnosis that TAP gives. */
    this.failures = [];
    // The subtests that are open, outermost first: { indent, name, tests, failed, points, diagnosis }.
    this.open = [];
    this.sawPlan = false;
  }

  line(line) {
    if (this.#collect(line)) return;
    const indent = line.length - line.trimStart().length;
    const text = line.trimStart();
    const subtest = /^# Subtest: (.*)$/.exec(text);
    if (subtest !== null) {
      this.open.push({ indent, name: subtest[1], tests: 0, failed: 0, points: 0, notes: [] });
      return;
    }
    if (indent === 0 && /^1\.\.\d+/.test(text)) this.sawPlan = true;
    if (text.startsWith('Bail out!')) this.#finish('failed', [...this.#path(), text], '');
    const point = /^(not )?ok \d+(?: - (.*?))?(?: # time=\S+)?(?: # (SKIP|TODO)\b ?(.*))?(?: \{)?$/i.exec(
      text,
    );
    if (point !== null) this.#point(indent, point);
  }

  #point(indent, [, not, name = '', directive, reason = '']) {
    const subtest = this.open.at(-1)?.indent === indent ? this.open.pop() : undefined;
    const path = [...this.#path(), subtest?.name ?? name];
    if (directive !== undefined) {
      // Tests that a --grep leaves out are no skipped tests.
      if (!reason.startsWith('filter')) this.#finish('skipped', path, reason);
      return;
    }
    if (subtest === undefined) this.#assertion(not !== undefined, name);
    else if (subtest.tests === 0 && subtest.points > 0) {
      this.#finish(not === undefined ? 'passed' : 'failed', path, subtest.notes);
    } else if (not !== undefined && subtest.failed === 0) this.#finish('failed', path, subtest.notes);
    // Beside a test that failed: what a teardown threw is told by the file, not by the test that it belongs to.
    else if (subtest.notes.length > 0) this.#tell(path, subtest.notes);
    this.#startDiagnosis(indent, not !== undefined && subtest === undefined);
  }

  #assertion(failed, name) {
    const parent = this.open.at(-1);
    if (parent === undefined) return;
    parent.points++;
    if (failed) parent.notes.push(name);
  }

  #finish(result, path, diagnosis) {
    this.counts[result]++;
    for (const parent of this.open) {
      parent.tests++;
      if (result === 'failed') parent.failed++;
    }
    if (result === 'failed') this.#tell(path, diagnosis);
    const reason = result === 'skipped' ? diagnosis : '';
    this.onTest({ result, where: path.join(' > '), reason });
  }

  #tell(path, diagnosis) {
    this.failures.push({ where: path.join(' > '), diagnosis: [diagnosis].flat().join('\n') });
  }

  #path() {
    return this.open.map(({ name }) => name);
  }

  // A YAML block follows a failed assertion: kept with the test that it belongs to.
  #startDiagnosis(indent, wanted) {
    this.expected = { indent: indent + 2, into: wanted ? this.open.at(-1)?.notes : undefined };
    this.inside = false;
  }

  #collect(line) {
    if (this.expected === undefined) return false;
    const { indent, into } = this.expected;
    const text = line.slice(indent);
    if (!this.inside) {
      if (line !== `${' '.repeat(indent)}---`) {
        this.expected = undefined;
        return false;
      }
      this.inside = true;
      return true;
    }
    if (text === '...' && line.length === indent + 3) this.expected = undefined;
    else into?.push(`  ${text}`);
    return true;
  }
}
