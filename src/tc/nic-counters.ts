// SPDX-License-Identifier: Apache-2.0
// A NIC's own counters, as the kernel has them in /proc/net/dev.

import { readFile } from 'node:fs/promises';
import { AskedProgram, endsWith } from './asked-program.ts';
import type { VmCount } from './counters.ts';
import { TcError } from './errors.ts';
import { checkDevice } from './names.ts';
import { type Place, placeName } from './place.ts';
import { runAt } from './run.ts';

const PATH = '/proc/net/dev';

/** Of one device; null where it is not in the text. */
export function parseNicCount(text: string, device: string): VmCount | null {
  for (const line of text.split('\n')) {
    const [, name, rest = ''] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name !== device) continue;
    const fields = rest.trim().split(/\s+/).map(Number);
    const at = (i: number): number => fields[i] ?? 0;
    return {
      received: { bytes: at(0), packets: at(1) },
      sent: { bytes: at(8), packets: at(9) },
    };
  }
  return null;
}

/** @throws TcError where there is no such NIC */
export async function readNicCount(place: Place, device: string): Promise<VmCount> {
  const text = place.kind === 'here' ? await readFile(PATH, 'utf8') : await runAt(place, ['cat', PATH]);
  const found = parseNicCount(text, checkDevice(device));
  if (found !== null) return found;
  throw new TcError(`there is no NIC ${device} (${placeName(place)})`, { remedy: 'see: ip link' });
}

/** Says what is in the file whenever it is asked, by a shell's own words: no program is started for it. */
const TELL = `while IFS= read -r question; do while IFS= read -r line; do echo "$line"; done < ${PATH}; echo; done`;

/** A NIC's counters, read again and again. */
export class NicCounters {
  readonly #place: Place;
  readonly #device: string;
  #shell: AskedProgram | null = null;

  constructor(place: Place, device: string) {
    this.#place = place;
    this.#device = checkDevice(device);
  }

  /** @throws TcError where there is no such NIC */
  async read(): Promise<VmCount> {
    if (this.#place.kind === 'here') return await readNicCount(this.#place, this.#device);
    this.#shell ??= AskedProgram.start(this.#place, ['sh', '-c', TELL], endsWith('\n\n'));
    const { text } = await this.#shell.ask('');
    const found = parseNicCount(text, this.#device);
    if (found !== null) return found;
    throw new TcError(`there is no NIC ${this.#device} (${placeName(this.#place)})`, {
      remedy: 'see: ip link',
    });
  }

  async close(): Promise<void> {
    await this.#shell?.close();
    this.#shell = null;
  }
}
