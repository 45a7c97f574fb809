// SPDX-License-Identifier: Apache-2.0
// Taking away what another process has built on a NIC, by what it wrote down before.

import { TcNoNicError } from './errors.ts';
import { removeIfb } from './ifb.ts';
import { readClasses, readQdiscs } from './inspect.ts';
import { type Place, placeExists } from './place.ts';
import { TcSession } from './session.ts';
import type { Direction } from './shaper.ts';
import { type Anchor, classId, removeLines } from './tree.ts';

/** What is to be undone, to be written down before it is done: enough for another process to undo it. */
export interface NicUndo {
  readonly place: Place;
  readonly direction: Direction;
  readonly device: string;
  readonly anchor: Anchor;
  readonly classCount: number;
  /** Places of the classes that have filters. */
  readonly filtered: readonly number[];
}

const NO_CLASS = { name: '', rateBytesPerSec: 0, ceilBytesPerSec: 0, priority: 0, queueBytes: 0 };

/**
 * Takes away what is there of it, and nothing that is somebody else's by now; returns whether there was anything. For a NIC that is
 * gone, too. @throws TcError
 */
export async function removeShaping(
  session: TcSession,
  { place, direction, device, anchor, classCount, filtered }: NicUndo,
): Promise<boolean> {
  if (direction === 'receive') return await removeIfb(place, session, device);
  try {
    const { qdiscs, classText } = await session.run([], device);
    const root = readQdiscs(qdiscs).find(({ isRoot }) => isRoot);
    if (root?.kind !== 'htb' || parseInt(root.handle, 16) !== anchor.major) return false;
    if (anchor.isOurs) {
      await session.run([`qdisc del dev ${device} root`], device);
      return true;
    }
    const found = new Set(readClasses(classText).map(({ id }) => id));
    if (!found.has(classId(anchor, anchor.rootMinor))) return false;
    const classes = Array.from({ length: classCount }, (_, i) => ({
      ...NO_CLASS,
      matches: filtered.includes(i) ? [{ kind: 'port', side: 'source', port: 1 } as const] : [],
    }));
    await session.run(removeLines({ device, linkBytesPerSec: 0, classes }, anchor), device);
    return true;
  } catch (error) {
    // Gone with its NIC.
    if (error instanceof TcNoNicError) return false;
    throw error;
  }
}

/** Undoes what another process has built, as it wrote down before. Returns whether there was anything. @throws TcError */
export async function undoNic(undo: NicUndo): Promise<boolean> {
  if (!placeExists(undo.place)) return false;
  const session = TcSession.open(undo.place);
  try {
    return await removeShaping(session, undo);
  } finally {
    await session.close();
  }
}
