// SPDX-License-Identifier: Apache-2.0
// A program that stays and answers questions, a line each: asking costs a fraction of starting it anew (nft: 1 ms instead of 8
// with its namespace and our own fork).

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { messageOf } from '../common/index.ts';
import { TcError } from './errors.ts';
import { argvAt, type Place, placeName } from './place.ts';

const TIMEOUT_MS = 5000;

interface Waiting {
  readonly resolve: (answer: string) => void;
  readonly reject: (error: Error) => void;
}

export class AskedProgram {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #endOfAnswer: string;
  #stdout = '';
  #waiting: Waiting | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #ended: Error | null = null;

  private constructor(child: ChildProcessWithoutNullStreams, name: string, endOfAnswer: string) {
    this.#child = child;
    this.#endOfAnswer = endOfAnswer;
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => this.#read(piece));
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (stderr = (stderr + piece).slice(-500)));
    child.stdin.on('error', () => undefined);
    // Waiting, it must not keep whoever forgot it alive; its own end comes with the pipe's.
    child.unref();
    for (const pipe of [child.stdin, child.stdout, child.stderr]) (pipe as unknown as Socket).unref();
    const end = (why: string, cause?: unknown): void => {
      this.#ended ??= new TcError(`${name} has ended: ${why}`, cause === undefined ? {} : { cause });
      this.#waiting?.reject(this.#ended);
      this.#waiting = null;
    };
    child.once('error', (error) => end(messageOf(error), error));
    child.once('close', () => end(stderr.trim()));
  }

  /** `endOfAnswer`: what each answer ends with, and has nowhere else. */
  static start(place: Place, argv: readonly string[], endOfAnswer: string): AskedProgram {
    const [program = '', ...args] = argvAt(place, argv);
    const name = `${argv[0] ?? ''} (${placeName(place)})`;
    return new AskedProgram(spawn(program, args, { stdio: 'pipe' }), name, endOfAnswer);
  }

  /** One question after the other. @throws TcError */
  async ask(line: string): Promise<string> {
    const turn = this.#last.then(() => this.#askNow(line));
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  async #askNow(line: string): Promise<string> {
    if (this.#ended !== null) throw this.#ended;
    let timer: NodeJS.Timeout | undefined;
    return await new Promise<string>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      timer = setTimeout(() => {
        // A late answer would be taken for that to the next question.
        this.#child.kill('SIGKILL');
        reject(new TcError(`no answer to "${line}"`));
      }, TIMEOUT_MS);
      this.#child.stdin.write(`${line}\n`);
    }).finally(() => clearTimeout(timer));
  }

  #read(piece: string): void {
    this.#stdout += piece;
    const end = this.#stdout.indexOf(this.#endOfAnswer);
    if (end === -1) return;
    const answer = this.#stdout.slice(0, end);
    this.#stdout = this.#stdout.slice(end + this.#endOfAnswer.length);
    this.#waiting?.resolve(answer);
    this.#waiting = null;
  }

  /** Ends it. */
  stop(): void {
    this.#child.stdin.end();
    this.#child.kill();
  }
}
