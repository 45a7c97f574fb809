// SPDX-License-Identifier: Apache-2.0
// One tc that stays, for a place: commands go in as lines, each batch ends with two questions. The answer to the second,
// JSON, says that the batch was carried out, and has tc write out what the first gave (classes, which tc tells as text).

import { AskedProgram } from './asked-program.ts';
import { TcError, TcNoNicError, TcUnsupportedError } from './errors.ts';
import { checkDevice } from './names.ts';
import type { Place } from './place.ts';

/** `-force`: a command that fails does not end the others. `-s`: classes are shown with their counters. */
const TC = ['tc', '-s', '-j', '-force', '-batch', '-'];
/** What a failed command has to say stands in another pipe than the answer, and may come a little later. */
const STDERR_GRACE_MS = 3;

/** What there is on a NIC after a batch. */
export interface NicAnswer {
  /** Rows of `qdisc show` that are of the NIC; none: there is no such NIC. */
  readonly qdiscs: readonly Readonly<Record<string, unknown>>[];
  /** What `class show` says. */
  readonly classText: string;
}

/** Where the JSON of `qdisc show` begins: one line with a bracket, behind the text of the classes. */
function rowsAt(text: string): number {
  return text.startsWith('[') ? 0 : text.indexOf('\n[') + 1;
}

function endOfRows(soFar: string): number | null {
  const at = rowsAt(soFar);
  const end = soFar.indexOf(']\n', at);
  if (end === -1 || soFar[at] !== '[') return null;
  try {
    JSON.parse(soFar.slice(at, end + 1));
    return end + 2;
  } catch {
    return null;
  }
}

export class TcSession implements AsyncDisposable {
  readonly #tc: AskedProgram;

  private constructor(tc: AskedProgram) {
    this.#tc = tc;
  }

  static open(place: Place): TcSession {
    return new TcSession(AskedProgram.start(place, TC, endOfRows));
  }

  /**
   * Carries out `lines` in order, then tells what there is on a NIC. @throws TcError where a line failed, with the kernel's
   * words; TcUnsupportedError where it knows no such kind
   */
  async run(lines: readonly string[], device: string): Promise<NicAnswer> {
    const questions = [`class show dev ${checkDevice(device)}`, 'qdisc show'];
    const graceMs = lines.length > 0 ? STDERR_GRACE_MS : 0;
    const { text, complaint } = await this.#tc.ask([...lines, ...questions].join('\n'), graceMs);
    const at = rowsAt(text);
    const rows = JSON.parse(text.slice(at)) as Readonly<Record<string, unknown>>[];
    const qdiscs = rows.filter((row) => row['dev'] === device);
    if (qdiscs.length === 0) throw new TcNoNicError(`there is no NIC ${device}`, { remedy: 'see: ip link' });
    throwFailed(complaint, lines);
    return { qdiscs, classText: text.slice(0, at) };
  }

  /** Ends tc. What it has set stays. */
  async close(): Promise<void> {
    await this.#tc.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** "Error: Specified qdisc kind is unknown.\nCommand failed -:2" and the like; warnings are none of it. */
function throwFailed(stderr: string, lines: readonly string[]): void {
  const failed = /Command failed -:(\d+)/.exec(stderr);
  if (failed === null) return;
  const words = stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(Command failed|We have an error)/.test(line))
    .join('; ');
  const message = `tc refused: ${words === '' ? 'without a word' : words} (of "${lines.join('; ')}")`;
  const isUnknown =
    /kind is unknown|Unknown (qdisc|filter)|not found|No such file|Operation not supported/i.test(words);
  throw isUnknown
    ? new TcUnsupportedError(message, { remedy: 'this kernel lacks it: QEMU can limit its bandwidth itself' })
    : new TcError(message, { remedy: 'CAP_NET_ADMIN is needed, and nobody else at that NIC meanwhile' });
}
