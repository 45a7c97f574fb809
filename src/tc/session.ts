// SPDX-License-Identifier: Apache-2.0
// One tc that stays, for a place: commands go in as lines, each batch ends with two questions. The answer to the second,
// JSON, says that the batch was carried out, and has tc write out what the first gave (classes, which tc tells as text). A change
// costs a tenth of a millisecond so, and nearly five with a process of its own.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { messageOf } from '../common/index.ts';
import { TcError, TcNoNicError, TcUnsupportedError } from './errors.ts';
import { checkDevice } from './names.ts';
import { argvAt, type Place } from './place.ts';

/** `-force`: a command that fails does not end the others. `-s`: classes are shown with their counters. */
const TC = ['tc', '-s', '-j', '-force', '-batch', '-'];
const TIMEOUT_MS = 5000;
/** What a failed command has to say stands in another pipe than the answer, and may come a little later. */
const STDERR_GRACE_MS = 3;

/** What there is on a NIC after a batch. */
export interface NicAnswer {
  /** Rows of `qdisc show` that are of the NIC; none: there is no such NIC. */
  readonly qdiscs: readonly Readonly<Record<string, unknown>>[];
  /** What `class show` says. */
  readonly classText: string;
}

interface Waiting {
  readonly device: string;
  readonly resolve: (answer: NicAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class TcSession implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  #stdout = '';
  #stderr = '';
  #waiting: Waiting | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #ended: Error | null = null;
  #closed: Promise<void> | null = null;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (piece: string) => this.#read(piece));
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (this.#stderr += piece));
    child.stdin.on('error', () => undefined);
    // Waiting, it must not keep whoever forgot it alive; its own end comes with the pipe's.
    child.unref();
    for (const pipe of [child.stdin, child.stdout, child.stderr]) (pipe as unknown as Socket).unref();
    const end = (error: Error): void => {
      this.#ended ??= error;
      this.#waiting?.reject(this.#ended);
      this.#waiting = null;
    };
    child.once('error', (error: NodeJS.ErrnoException) =>
      end(
        new TcError(`cannot run tc: ${messageOf(error)}`, {
          cause: error,
          remedy: 'install iproute2, and run with CAP_NET_ADMIN',
        }),
      ),
    );
    child.once('close', () => end(new TcError(`tc has ended: ${this.#stderr.trim()}`)));
  }

  static open(place: Place): TcSession {
    const [program = '', ...args] = argvAt(place, TC);
    return new TcSession(spawn(program, args, { stdio: 'pipe' }));
  }

  /**
   * Carries out `lines` in order, then tells what there is on a NIC. @throws TcError where a line failed, with the kernel's
   * words; TcUnsupportedError where it knows no such kind
   */
  async run(lines: readonly string[], device: string): Promise<NicAnswer> {
    const turn = this.#last.then(() => this.#runNow(lines, checkDevice(device)));
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  async #runNow(lines: readonly string[], device: string): Promise<NicAnswer> {
    if (this.#ended !== null) throw this.#ended;
    this.#stderr = '';
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<NicAnswer>((resolve, reject) => {
      this.#waiting = { device, resolve, reject };
      timer = setTimeout(() => {
        // A late answer would be taken for that to the next question.
        this.#child.kill('SIGKILL');
        reject(new TcError(`tc did not answer for ${device}`));
      }, TIMEOUT_MS);
      this.#child.stdin.write(`${[...lines, `class show dev ${device}`, 'qdisc show'].join('\n')}\n`);
    }).finally(() => clearTimeout(timer));
    if (answer.qdiscs.length === 0)
      throw new TcNoNicError(`there is no NIC ${device}`, { remedy: 'see: ip link' });
    if (lines.length > 0) await new Promise((resolve) => setTimeout(resolve, STDERR_GRACE_MS));
    throwFailed(this.#stderr, lines);
    return answer;
  }

  /** The JSON of `qdisc show` is one line that begins with a bracket; all before it is the text of the classes. */
  #read(piece: string): void {
    this.#stdout += piece;
    const at = this.#stdout.startsWith('[') ? 0 : this.#stdout.indexOf('\n[') + 1;
    const end = this.#stdout.indexOf(']\n', at);
    if (end === -1 || this.#stdout[at] !== '[') return;
    let rows: unknown;
    try {
      rows = JSON.parse(this.#stdout.slice(at, end + 1));
    } catch {
      return;
    }
    const classText = this.#stdout.slice(0, at);
    this.#stdout = this.#stdout.slice(end + 2);
    const waiting = this.#waiting;
    this.#waiting = null;
    const all = Array.isArray(rows) ? (rows as Readonly<Record<string, unknown>>[]) : [];
    waiting?.resolve({ qdiscs: all.filter((row) => row['dev'] === waiting.device), classText });
  }

  /** Ends tc. What it has set stays. */
  async close(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (this.#ended !== null || exitCode !== null || signalCode !== null) return;
    this.#closed ??= new Promise<void>((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
    this.#child.ref();
    this.#child.stdin.end();
    await this.#closed;
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
