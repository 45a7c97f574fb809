// SPDX-License-Identifier: Apache-2.0
// Reads the ring of a patched QEMU, round by round, while QEMU goes on writing it.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { messageOf } from '../common/index.ts';
import type { NativeAddon } from './addon.ts';
import { bitmapBytes } from './kernels.ts';
import {
  parseLatestSequence,
  parseRingLayout,
  parseSlotHead,
  RING_HEADER_BYTES,
  RingError,
  type RingLayout,
  ringTableBytes,
  SLOT_HEAD_BYTES,
  type SlotHead,
} from './ring-layout.ts';

export interface RingBlockPages {
  readonly name: string;
  readonly pageCount: number;
  /** For kernels only: it may lie in QEMU's file, which changes. */
  readonly dirtied: Uint8Array;
  /** Null before a migration. */
  readonly pending: Uint8Array | null;
}

export interface RingRound extends Omit<SlotHead, 'usedPages'> {
  readonly blocks: readonly RingBlockPages[];
}

/**
 * Whole rounds or none: a round counts only if `holds` says so after it was worked on, else QEMU has overwritten its slot
 * in the meantime.
 */
export class RingReader {
  readonly layout: RingLayout;
  readonly #fd: number;
  readonly #mapped: Uint8Array | null;

  private constructor(fd: number, layout: RingLayout, mapped: Uint8Array | null) {
    this.#fd = fd;
    this.layout = layout;
    this.#mapped = mapped;
  }

  /** Without an addon the bitmaps are copied out of the file. @throws RingError */
  static open(path: string, addon: NativeAddon | null): RingReader {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch (error) {
      throw new RingError(`cannot open the ring: ${messageOf(error)}`, { cause: error });
    }
    try {
      const fileBytes = fstatSync(fd).size;
      const tableBytes = ringTableBytes(readAt(fd, 0, RING_HEADER_BYTES));
      const layout = parseRingLayout(readAt(fd, 0, tableBytes), fileBytes);
      return new RingReader(fd, layout, addon === null ? null : addon.mapFile(path, layout.totalBytes));
    } catch (error) {
      closeSync(fd);
      if (error instanceof RingError) throw error;
      throw new RingError(`cannot read the ring ${path}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Of the last round that is there as a whole; 0: none yet. @throws RingError */
  latestSequence(): number {
    return parseLatestSequence(readAt(this.#fd, 0, RING_HEADER_BYTES));
  }

  /** The round; null if it is not there any more, or not yet. @throws RingError */
  read(sequence: number): RingRound | null {
    if (sequence < 1) return null;
    const { blocks } = this.layout;
    const slotOffset = this.#slotOffset(sequence);
    const bytes = readAt(this.#fd, slotOffset, SLOT_HEAD_BYTES + 8 * blocks.length);
    const head = parseSlotHead(bytes, blocks);
    if (head.sequence !== sequence) return null;
    const { usedPages, ...round } = head;
    const pages = blocks.map((block, i): RingBlockPages => {
      const pageCount = usedPages[i] ?? 0;
      const bits = (offset: number): Uint8Array => this.#bitmap(slotOffset + offset, pageCount);
      return {
        name: block.name,
        pageCount,
        dirtied: bits(block.dirtiedOffset),
        pending: head.inMigration ? bits(block.pendingOffset) : null,
      };
    });
    return { ...round, blocks: pages };
  }

  /** Whether the round is still in its slot: what was read from it before is one whole round. @throws RingError */
  holds({ sequence }: RingRound): boolean {
    const bytes = readAt(this.#fd, this.#slotOffset(sequence), 8);
    return Buffer.from(bytes).readBigUInt64LE() === BigInt(sequence);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #slotOffset(sequence: number): number {
    const { slotsOffset, slotBytes, slotCount } = this.layout;
    return slotsOffset + ((sequence - 1) % slotCount) * slotBytes;
  }

  #bitmap(offset: number, pageCount: number): Uint8Array {
    const bytes = bitmapBytes(pageCount);
    return this.#mapped === null
      ? readAt(this.#fd, offset, bytes)
      : this.#mapped.subarray(offset, offset + bytes);
  }
}

/** As many bytes as wanted, on a boundary of 8. @throws RingError */
function readAt(fd: number, offset: number, bytes: number): Uint8Array {
  const buffer = new Uint8Array(bytes);
  let done = 0;
  while (done < bytes) {
    const got = readSync(fd, buffer, done, bytes - done, offset + done);
    if (got === 0)
      throw new RingError(`wanted ${bytes} bytes of the ring at ${offset}, its file ends before`);
    done += got;
  }
  return buffer;
}
