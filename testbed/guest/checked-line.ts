// SPDX-License-Identifier: Apache-2.0
// Lines over the guest's serial port: "PAYLOAD CHECKSUM\n", the checksum being FNV-1a in eight hex digits. The other end
// is native/guest/line.c. A line that does not check is dropped; the asking side repeats its request.

/** FNV-1a, 32 bits, over the bytes of a text of ASCII. */
export function fnv1a(text: string): number {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619) >>> 0;
  return hash >>> 0;
}

/** The payload as a line. The empty line in front ends whatever half a line was left on the wire. */
export function formatLine(payload: string): string {
  return `\n${payload} ${fnv1a(payload).toString(16).padStart(8, '0')}\n`;
}

/** Puts lines together from pieces and gives out the payloads of those that check. */
export class LineReader {
  #rest = '';

  /** Feeds bytes as they came; returns the payloads of the lines that they completed. */
  push(piece: string): string[] {
    const lines = (this.#rest + piece).split('\n');
    // Noise without an end of line must not pile up: no reply is longer than this.
    this.#rest = (lines.pop() ?? '').slice(-8192);
    const payloads: string[] = [];
    for (const line of lines) {
      const match = /^(.*) ([0-9a-f]{8})$/.exec(line);
      if (match?.[1] === undefined || match[2] === undefined) continue;
      if (Number.parseInt(match[2], 16) === fnv1a(match[1])) payloads.push(match[1]);
    }
    return payloads;
  }
}
