// SPDX-License-Identifier: Apache-2.0
// The check that all live tests rely on can fail: one word flipped in one cold and in one hot page is found.
import t from 'tap';
import { GdbStub } from '../../testbed/guest/index.ts';
import { HOT, stageWith } from './support/live.ts';

t.test('a flipped word in a cold and in a hot page is reported, each as what it is', async (t) => {
  const stage = await stageWith(t, HOT, { gdb: true });
  const { source } = stage;
  // Long enough for the writer to have been everywhere in its set.
  await stage.settle(1000);
  const places = await stage.withGuest(source, async (guest) => {
    await guest.pause();
    const clean = await guest.verify();
    t.equal(clean.coherent, true, 'clean before');
    return [await guest.where('cold', 1234), await guest.where('hot', 77)];
  });
  const gdb = await GdbStub.connect(source.gdbPath!);
  for (const { physicalAddress } of places) {
    const address = physicalAddress + 8 * 100;
    const word = await gdb.readPhysical(address, 8);
    word[0] = (word[0] ?? 0) ^ 1;
    await gdb.writePhysical(address, word);
  }
  await gdb.detach();
  const report = await stage.withGuest(source, (guest) => guest.verify());
  t.equal(report.coherent, false);
  t.same(
    report.badPages
      .map(({ kind, page, firstBadWord, badWords }) => ({ kind, page, firstBadWord, badWords }))
      .sort((a, b) => a.kind.localeCompare(b.kind)),
    places
      .map(({ kind, page }) => ({ kind, page, firstBadWord: 100, badWords: 1 }))
      .sort((a, b) => a.kind.localeCompare(b.kind)),
  );
});
