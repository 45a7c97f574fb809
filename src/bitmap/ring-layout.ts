// SPDX-License-Identifier: Apache-2.0
// The layout of the ring that a patched QEMU writes its dirty bitmaps into (native/qemu/README.md), read and checked.
// Pure. Whatever the bytes are, the answer is a layout that fits the file, or an error.

import { SlackwaterError } from '../common/index.ts';
import { bitmapBytes } from './kernels.ts';

const MAGIC = 'SLKWRING';
const VERSION = 1;
export const RING_HEADER_BYTES = 64;
const BLOCK_BYTES = 280;
const NAME_BYTES = 256;
export const SLOT_HEAD_BYTES = 88;
/** QEMU's own limits are lower; these keep a hostile header from costing memory. */
const MAX_SLOTS = 1024;
const MAX_BLOCKS = 4096;
const SEQUENCE_OFFSET = 40;

const FLAG_MIGRATION = 1;
const FLAG_RUNNING = 2;
const FLAG_OVER = 4;

/** The ring is not what a patched QEMU writes, or does not fit its file. */
export class RingError extends SlackwaterError {
  readonly code = 'ERR_RING';
}

export interface RingBlockLayout {
  readonly name: string;
  readonly pageCount: number;
  /** Within a slot, in bytes. */
  readonly dirtiedOffset: number;
  readonly pendingOffset: number;
}

export interface RingLayout {
  readonly pageSizeBytes: number;
  readonly slotCount: number;
  readonly slotsOffset: number;
  readonly slotBytes: number;
  readonly blocks: readonly RingBlockLayout[];
  /** All of it. */
  readonly totalBytes: number;
}

export interface SlotHead {
  /** 0: it is being written. */
  readonly sequence: number;
  readonly round: number;
  /** Else it was tracked before a migration. */
  readonly inMigration: boolean;
  readonly guestRunning: boolean;
  /** Everything had been sent but what is deferred. */
  readonly roundOver: boolean;
  /** CLOCK_MONOTONIC: the sync before this one, and this one. */
  readonly beginMs: number;
  readonly endMs: number;
  readonly transferredBytes: number;
  readonly normalPages: number;
  readonly zeroPages: number;
  readonly bandwidthBytesPerSec: number;
  readonly thresholdBytes: number;
  readonly syncMs: number;
  /** Per block; pages beyond mean nothing. */
  readonly usedPages: readonly number[];
}

function refuse(wanted: string, got: unknown): never {
  throw new RingError(`wanted ${wanted} in the ring, got ${String(got)}`, {
    remedy: 'is the file the one that this QEMU was told to write to?',
  });
}

function whole(view: DataView, offset: number, what: string, most = Number.MAX_SAFE_INTEGER): number {
  const value = view.getBigUint64(offset, true);
  if (value > BigInt(most)) refuse(`${what} up to ${most}`, value);
  return Number(value);
}

/** Bytes that the header takes together with its block table, by its own first bytes. @throws RingError */
export function ringTableBytes(header: Uint8Array): number {
  if (header.length < RING_HEADER_BYTES) refuse(`a header of ${RING_HEADER_BYTES} bytes`, header.length);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const magic = Buffer.from(header.subarray(0, 8)).toString('latin1');
  if (magic !== MAGIC) refuse(`the magic ${MAGIC}`, JSON.stringify(magic));
  const version = view.getUint32(8, true);
  if (version !== VERSION) refuse(`version ${VERSION}`, version);
  const blockCount = view.getUint32(20, true);
  if (blockCount > MAX_BLOCKS) refuse(`at most ${MAX_BLOCKS} blocks`, blockCount);
  return RING_HEADER_BYTES + blockCount * BLOCK_BYTES;
}

function parseBlock(view: DataView, offset: number, headBytes: number, slotBytes: number): RingBlockLayout {
  const raw = Buffer.from(view.buffer, view.byteOffset + offset, NAME_BYTES);
  const end = raw.indexOf(0);
  if (end < 0) refuse('a name that ends', 'one that does not');
  const name = raw.toString('utf8', 0, end);
  const pageCount = whole(view, offset + NAME_BYTES, 'pages of a block', 2 ** 32 - 1);
  const [dirtiedOffset, pendingOffset] = [8, 16].map((more): number => {
    const at = whole(view, offset + NAME_BYTES + more, 'an offset of a bitmap', slotBytes);
    const fits = at >= headBytes && at % 8 === 0 && at + bitmapBytes(pageCount) <= slotBytes;
    if (!fits) refuse(`the bitmap of ${name} within its slot of ${slotBytes} bytes`, `offset ${at}`);
    return at;
  }) as [number, number];
  return { name, pageCount, dirtiedOffset, pendingOffset };
}

/** @throws RingError where the header and the block table do not describe a ring that fits into `fileBytes` */
export function parseRingLayout(table: Uint8Array, fileBytes: number): RingLayout {
  const tableBytes = ringTableBytes(table);
  if (table.length < tableBytes) refuse(`a block table of ${tableBytes} bytes`, table.length);
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const pageSizeBytes = view.getUint32(12, true);
  const isPowerOfTwo = (pageSizeBytes & (pageSizeBytes - 1)) === 0;
  if (!isPowerOfTwo || pageSizeBytes < 1024 || pageSizeBytes > 1 << 20) refuse('a page size', pageSizeBytes);
  const slotCount = view.getUint32(16, true);
  if (slotCount < 1 || slotCount > MAX_SLOTS) refuse(`1 to ${MAX_SLOTS} slots`, slotCount);
  const blockCount = view.getUint32(20, true);
  const slotsOffset = whole(view, 24, 'the offset of the slots', fileBytes);
  const slotBytes = whole(view, 32, 'the bytes of a slot', fileBytes);
  const headBytes = SLOT_HEAD_BYTES + 8 * blockCount;
  if (slotsOffset < tableBytes || slotsOffset % 8 !== 0) refuse('slots behind the block table', slotsOffset);
  if (slotBytes < headBytes || slotBytes % 8 !== 0) refuse(`slots of ${headBytes} bytes or more`, slotBytes);
  const totalBytes = slotsOffset + slotCount * slotBytes;
  if (totalBytes > fileBytes) refuse(`a file of ${totalBytes} bytes`, fileBytes);
  const blocks = Array.from({ length: blockCount }, (_, i) =>
    parseBlock(view, RING_HEADER_BYTES + i * BLOCK_BYTES, headBytes, slotBytes),
  );
  return { pageSizeBytes, slotCount, slotsOffset, slotBytes, blocks, totalBytes };
}

/** The sequence of the last slot that was completed; 0: none was. */
export function parseLatestSequence(header: Uint8Array): number {
  return whole(
    new DataView(header.buffer, header.byteOffset, header.byteLength),
    SEQUENCE_OFFSET,
    'a sequence',
  );
}

/** @throws RingError where a block uses more pages than it has */
export function parseSlotHead(head: Uint8Array, blocks: readonly RingBlockLayout[]): SlotHead {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length < SLOT_HEAD_BYTES + 8 * blocks.length) refuse('a whole slot', `${head.length} bytes`);
  const flags = view.getUint32(16, true);
  const ms = (offset: number): number => Number(view.getBigInt64(offset, true)) / 1e6;
  return {
    sequence: whole(view, 0, 'a sequence'),
    round: whole(view, 8, 'a round'),
    inMigration: (flags & FLAG_MIGRATION) !== 0,
    guestRunning: (flags & FLAG_RUNNING) !== 0,
    roundOver: (flags & FLAG_OVER) !== 0,
    beginMs: ms(24),
    endMs: ms(32),
    transferredBytes: whole(view, 40, 'bytes sent'),
    normalPages: whole(view, 48, 'normal pages'),
    zeroPages: whole(view, 56, 'zero pages'),
    bandwidthBytesPerSec: whole(view, 64, 'a bandwidth'),
    thresholdBytes: whole(view, 72, 'a threshold'),
    syncMs: ms(80),
    usedPages: blocks.map(({ pageCount }, i) =>
      whole(view, SLOT_HEAD_BYTES + 8 * i, 'pages in use', pageCount),
    ),
  };
}
