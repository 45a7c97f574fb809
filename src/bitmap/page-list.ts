// SPDX-License-Identifier: Apache-2.0
// Lists of pages for a patched QEMU: which to defer, which to send first (native/qemu/README.md). Pure.

const MAGIC = 'SLKWPAGE';
const VERSION = 1;
const HEADER_BYTES = 32;
const NAME_BYTES = 256;
const EXTENT_BYTES = 16;

export interface PageExtent {
  /** Index into the list's blocks. */
  readonly block: number;
  readonly firstPage: number;
  readonly pageCount: number;
}

/** The file's bytes; extents keep their order, which is the order of sending. */
export function encodePageList(
  pageSizeBytes: number,
  blockNames: readonly string[],
  extents: readonly PageExtent[],
): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + blockNames.length * NAME_BYTES + extents.length * EXTENT_BYTES);
  bytes.write(MAGIC, 'latin1');
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(pageSizeBytes, 12);
  bytes.writeUInt32LE(blockNames.length, 16);
  bytes.writeBigUInt64LE(BigInt(extents.length), 24);
  blockNames.forEach((name, i) => {
    const length = Buffer.byteLength(name);
    if (length >= NAME_BYTES)
      throw new RangeError(`wanted a block's name below ${NAME_BYTES} bytes, got ${length}`);
    bytes.write(name, HEADER_BYTES + i * NAME_BYTES, 'utf8');
  });
  const first = HEADER_BYTES + blockNames.length * NAME_BYTES;
  extents.forEach(({ block, firstPage, pageCount }, i) => {
    const at = first + i * EXTENT_BYTES;
    bytes.writeUInt32LE(block, at);
    bytes.writeUInt32LE(pageCount, at + 4);
    bytes.writeBigUInt64LE(BigInt(firstPage), at + 8);
  });
  return bytes;
}

/** Pages in their order as extents: neighbours that follow each other become one. */
export function extentsOf(block: number, pages: Uint32Array): PageExtent[] {
  const extents: PageExtent[] = [];
  for (let i = 0; i < pages.length;) {
    const firstPage = pages[i] ?? 0;
    let pageCount = 1;
    while (pages[i + pageCount] === firstPage + pageCount) pageCount++;
    extents.push({ block, firstPage, pageCount });
    i += pageCount;
  }
  return extents;
}
