// SPDX-License-Identifier: Apache-2.0
// The table of endings, as a user would notice it: where the guest is said to be, and what is done to bring it there.
import t from 'tap';
import { type EndState, judge } from '../../src/control/conclude.ts';

function end(runStatus: string, migration: string): EndState {
  return { kind: 'answers', running: runStatus === 'running', runStatus, migration };
}

const DEAD: EndState = { kind: 'dead' };
const SILENT: EndState = { kind: 'silent', why: 'no answer' };

function verdict(source: EndState, destination: EndState, more: object = {}): string {
  const result = judge({
    source,
    destination,
    usedPostcopy: false,
    destinationRan: false,
    guestPaused: false,
    because: 'because',
    ...more,
  });
  return typeof result === 'string' ? result : result.kind;
}

t.test('pre-copy', (t) => {
  t.equal(verdict(end('postmigrate', 'completed'), end('running', 'completed')), 'completed');
  t.equal(verdict(DEAD, end('running', 'completed')), 'completed', 'a source that was quit');
  t.equal(verdict(end('running', 'cancelled'), end('inmigrate', 'failed')), 'source-running');
  t.equal(verdict(end('running', 'failed'), DEAD), 'source-running');
  t.equal(verdict(end('running', 'active'), end('inmigrate', 'active')), 'wait', 'it goes on without us');
  t.equal(verdict(end('postmigrate', 'completed'), end('paused', 'completed')), 'resume-destination');
  t.equal(verdict(end('postmigrate', 'completed'), end('inmigrate', 'active')), 'wait', 'still loading');
  t.end();
});

t.test('a source is resumed only when the destination is proven dead or failed, and never ran', (t) => {
  t.equal(verdict(end('paused', 'failed'), DEAD), 'resume-source');
  t.equal(verdict(end('paused', 'failed'), end('inmigrate', 'failed')), 'resume-source');
  t.equal(verdict(end('paused', 'failed'), SILENT), 'wait', 'silence proves nothing');
  t.equal(verdict(end('paused', 'failed'), DEAD, { destinationRan: true }), 'wait');
  t.equal(verdict(end('finish-migrate', 'postcopy-paused'), DEAD, { usedPostcopy: true }), 'lost');
  t.equal(
    verdict(end('paused', 'failed'), DEAD, { usedPostcopy: true }),
    'resume-source',
    'as QEMU 10.2 does',
  );
  t.equal(verdict(end('finish-migrate', 'device'), end('inmigrate', 'active')), 'wait');
  t.end();
});

t.test(
  'a guest that we stopped is not left standing where a cancel came too late for the destination',
  (t) => {
    const both = [end('paused', 'cancelled'), end('paused', 'completed')] as const;
    t.equal(verdict(...both, { guestPaused: true }), 'resume-source');
    t.equal(verdict(...both), 'wait', 'one that nobody stopped is started by a QEMU');
    t.equal(verdict(...both, { guestPaused: true, destinationRan: true }), 'wait');
    t.equal(verdict(...both, { guestPaused: true, usedPostcopy: true }), 'wait');
    const anew = end('prelaunch', 'none');
    t.equal(
      verdict(anew, both[1], { guestPaused: true }),
      'wait',
      'a QEMU started anew has no guest to resume',
    );
    const ended = judge({
      source: end('running', 'cancelled'),
      destination: both[1],
      usedPostcopy: false,
      destinationRan: false,
      guestPaused: true,
      because: 'because',
    });
    t.match(ended, { kind: 'source-running', reason: /stands still: quit that QEMU/ });
    t.end();
  },
);

t.test('post-copy', (t) => {
  const used = { usedPostcopy: true, destinationRan: true };
  t.equal(verdict(end('postmigrate', 'completed'), end('running', 'completed'), used), 'completed');
  t.equal(verdict(end('postmigrate', 'postcopy-active'), end('running', 'postcopy-active'), used), 'wait');
  t.equal(
    verdict(end('postmigrate', 'postcopy-paused'), end('running', 'postcopy-paused'), used),
    'postcopy-paused',
  );
  t.equal(
    verdict(end('finish-migrate', 'postcopy-paused'), end('inmigrate', 'failed'), { usedPostcopy: true }),
    'lost',
  );
  t.equal(verdict(end('postmigrate', 'postcopy-paused'), DEAD, used), 'lost');
  t.equal(verdict(DEAD, end('running', 'postcopy-paused'), used), 'lost');
  t.equal(verdict(DEAD, end('running', 'completed'), used), 'completed', 'it had all pages');
  t.end();
});

t.test('two running copies are never called an ending', (t) => {
  t.equal(verdict(end('running', 'failed'), end('running', 'completed')), 'unknown');
  t.end();
});

t.test('no table entry for any pair of words concludes more than is known', (t) => {
  const words = ['running', 'paused', 'postmigrate', 'inmigrate', 'finish-migrate'];
  const migrations = [
    'none',
    'active',
    'device',
    'failed',
    'cancelled',
    'completed',
    'postcopy-active',
    'postcopy-paused',
  ];
  for (const run of words) {
    for (const migration of migrations) {
      for (const usedPostcopy of [true, false]) {
        const silent = verdict(SILENT, end(run, migration), { usedPostcopy });
        const known = migration === 'postcopy-paused' ? 'postcopy-paused' : 'completed';
        t.ok(['wait', known].includes(silent), `silent source, ${run} ${migration}: ${silent}`);
        const there = verdict(end(run, migration), SILENT, { usedPostcopy });
        t.not(there, 'completed', `${run} ${migration}, silent destination`);
        t.not(there, 'resume-source');
      }
    }
  }
  t.end();
});
