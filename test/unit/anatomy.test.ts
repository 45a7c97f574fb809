// SPDX-License-Identifier: Apache-2.0
import t from 'tap';
import { anatomyOf } from '../../bench/anatomy.ts';

const at = (ms: number): string => `7@1000.${String(ms * 1000).padStart(6, '0')}`;
const page = (index: number): string => `0x7f${(index * 4096).toString(16).padStart(6, '0')}`;
const asked = (ms: number, index: number): string =>
  `${at(ms)}:postcopy_ram_fault_thread_request Request for HVA=${page(index)} rb=pc.ram offset=0x0 pid=9`;
const placed = (ms: number, index: number): string => `${at(ms)}:postcopy_place_page host=${page(index)}`;

const LOG = [
  'something else that QEMU says',
  // Asked for by a device before RESUME, there after it.
  asked(95, 1),
  `${at(100)}:runstate_set current_run_state 1 (inmigrate) new_state 9 (running)`,
  placed(102, 1),
  `${at(103)}:qemu_announce_self_iter _:net0:52:54:00:00:00:01 skip: 0`,
  asked(110, 2),
  // Two at a time: the guest stands still from the first to the last.
  asked(112, 3),
  placed(114, 2),
  placed(118, 3),
  // Pushed without having been asked for.
  placed(119, 4),
  asked(140, 5),
  `${at(141)}:postcopy_place_page_zero host=${page(5)}`,
].join('\n');

const silence = (fromMs: number, toMs: number) => ({
  startRealtimeMs: 1_000_000 + fromMs,
  endRealtimeMs: 1_000_000 + toMs,
});

t.test('a silence falls into what came before, the switch, stalls and running', (t) => {
  const anatomy = anatomyOf(LOG, silence(70, 130), 20);
  t.same(
    Object.fromEntries(
      (Object.entries(anatomy ?? {}) as [string, number | null][]).map(([key, value]) => [
        key,
        Math.round(value ?? NaN),
      ]),
    ),
    {
      beforeStopMs: 10,
      stopToResumeMs: 20,
      announcedMs: 3,
      // 100 to 102 and 110 to 118.
      faults: 3,
      stalledMs: 10,
      faultMs: 4,
      runningMs: 20,
      laterFaults: 1,
      laterFaultMs: 1,
    },
  );
  t.end();
});

t.test('of a silence that begins after RESUME only what lies in it counts', (t) => {
  t.match(anatomyOf(LOG, silence(112, 130), 20), { beforeStopMs: 0, stopToResumeMs: 0, faults: 2 });
  const { stalledMs, runningMs } = anatomyOf(LOG, silence(112, 130), 20) ?? {};
  t.same(
    [stalledMs, runningMs].map((ms) => Math.round(ms ?? NaN)),
    [6, 12],
  );
  t.end();
});

t.test('a silence before the switchover, and a log without one, have none', (t) => {
  t.equal(anatomyOf(LOG, silence(40, 70), 20), null);
  t.equal(anatomyOf('', silence(70, 130), 20), null);
  t.end();
});
