// SPDX-License-Identifier: Apache-2.0
// A program that stays and answers questions: asking costs a fraction of starting it anew (tc: a tenth of a millisecond instead
// of nearly five; nft: one instead of eight with its namespace and our own fork).

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { messageOf } from '../common/index.ts';
import { remedyAt, TcError } from './errors.ts';
import { argvAt, type Place, placeName } from './place.ts';

const TIMEOUT_MS = 5000;
const ENDS_WITHIN_MS = 1000;

export interface Answer {
  readonly text: string;
  /** What it said on stderr since it was asked. */
  readonly complaint: string;
}

/** Where an answer ends in what has been written so far; null: it is not whole yet. */
export type EndOfAnswer = (soFar: string) => number | null;

export function endsWith(mark: string): EndOfAnswer {
  return (soFar) => {
    const at = soFar.indexOf(mark);
    return at === -1 ? null : at + mark.length;
  };
}

interface Waiting {
  readonly resolve: (text: string) => void;
  readonly reject: (error: Error) => void;
}

export class AskedProgram {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #name: string;
  readonly #endOfAnswer: EndOfAnswer;
  #stdout = '';
  #stderr = '';
  #waiting: Waiting | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #ended: Error | null = null;
  #closed: Promise<void> | null = null;

  private constructor(
    child: ChildProcessWithoutNullStreams,
    name: string,
    place: Place,
    endOfAnswer: EndOfAnswer,
  ) {
    this.#child = child;
    this.#name = name;
    this.#endOfAnswer = endOfAnswer;
    child.stdout.setEncoding('utf8').on('data', (piece: string) => this.#read(piece));
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (this.#stderr += piece));
    child.stdin.on('error', () => undefined);
    // Waiting, it must not keep whoever forgot it alive; its own end comes with the pipe's.
    child.unref();
    for (const pipe of [child.stdin, child.stdout, child.stderr]) (pipe as unknown as Socket).unref();
    const end = (error: TcError): void => {
      this.#ended ??= error;
      this.#waiting?.reject(this.#ended);
      this.#waiting = null;
    };
    child.once('error', (error) =>
      end(
        new TcError(`cannot run ${name}: ${messageOf(error)}`, {
          cause: error,
          remedy: remedyAt(place, null),
        }),
      ),
    );
    child.once('close', (code) =>
      end(new TcError(`${name} has ended: ${this.#stderr.trim()}`, { remedy: remedyAt(place, code) })),
    );
  }

  static start(place: Place, argv: readonly string[], endOfAnswer: EndOfAnswer): AskedProgram {
    const [program = '', ...args] = argvAt(place, argv);
    const name = `${argv[0] ?? ''} (${placeName(place)})`;
    return new AskedProgram(spawn(program, args, { stdio: 'pipe' }), name, place, endOfAnswer);
  }

  /**
   * One question after the other. `graceMs`: so long complaints are waited for after the answer, for they come by another pipe.
   * @throws TcError
   */
  async ask(question: string, graceMs = 0): Promise<Answer> {
    const turn = this.#last.then(() => this.#askNow(question, graceMs));
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  async #askNow(question: string, graceMs: number): Promise<Answer> {
    if (this.#ended !== null) throw this.#ended;
    this.#stderr = '';
    let timer: NodeJS.Timeout | undefined;
    const text = await new Promise<string>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      timer = setTimeout(() => {
        // A late answer would be taken for that to the next question.
        this.#child.kill('SIGKILL');
        reject(new TcError(`${this.#name} did not answer "${question}"`));
      }, TIMEOUT_MS);
      this.#child.stdin.write(`${question}\n`);
    }).finally(() => clearTimeout(timer));
    if (graceMs > 0) await new Promise((resolve) => setTimeout(resolve, graceMs));
    return { text, complaint: this.#stderr };
  }

  #read(piece: string): void {
    this.#stdout += piece;
    const end = this.#endOfAnswer(this.#stdout);
    if (end === null) return;
    const text = this.#stdout.slice(0, end);
    this.#stdout = this.#stdout.slice(end);
    this.#waiting?.resolve(text);
    this.#waiting = null;
  }

  /** Ends it; resolves when it is gone. */
  async close(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (this.#ended !== null || exitCode !== null || signalCode !== null) return;
    this.#closed ??= new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), ENDS_WITHIN_MS);
      const gone = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#child.once('exit', gone);
      this.#child.once('error', gone);
    });
    this.#child.ref();
    this.#child.stdin.end();
    await this.#closed;
  }
}
