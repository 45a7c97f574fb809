// SPDX-License-Identifier: Apache-2.0
// What the guest answers, as typed values. Field names are those of native/guest/control.c.

import { GuestControlError } from '../errors.ts';

/** The application of a guest that has one. */
export interface AppStatus {
  readonly name: string;
  /** Running: it serves, or works. */
  readonly state: 'starting' | 'running' | 'ended';
  /** When it ended by itself. */
  readonly exitCode: number | undefined;
  /** The number of the signal that ended it. */
  readonly signal: number | undefined;
  /** The last 600 characters that it printed. */
  readonly output: string;
}

export interface GuestStatus {
  readonly ready: boolean;
  readonly paused: boolean;
  readonly arenaBytes: number;
  readonly pages: number;
  /** Visits done since the start, over all patterns. */
  readonly steps: number;
  /** Over the last second of writing: pages visited x page size. */
  readonly rateBytesPerSec: number;
  /** Time that the writer gave up because it could not keep to its pattern. */
  readonly shedMs: number;
  readonly uptimeMs: number;
  readonly diskWrites: number;
  readonly diskErrors: number;
  readonly pattern: string;
  /** Absent for a guest without an application. */
  readonly app?: AppStatus;
}

export interface PageLocation {
  /** Index within the arena. */
  readonly page: number;
  readonly physicalAddress: number;
  /** Hot: written since the start. Cold: still as it was filled. */
  readonly kind: 'hot' | 'cold';
  /** Writes that the pattern has done to the page. */
  readonly expectedVersion: number;
  /** Writes that the page itself says it has seen. */
  readonly gotVersion: number;
}

export interface BadPage extends PageLocation {
  /** Index of the first 8-byte word that is wrong; word 0 is the version. */
  readonly firstBadWord: number;
  readonly badWords: number;
}

export interface BadBlock {
  readonly block: number;
  readonly kind: 'stale' | 'newer' | 'torn' | 'unreadable';
  readonly expectedSequence: number;
  readonly gotSequence: number;
}

export interface CoherenceReport {
  /** No page and no disk block differs from what was written. */
  readonly coherent: boolean;
  readonly hotPages: number;
  readonly coldPages: number;
  readonly badPageCount: number;
  /** The first few of them. */
  readonly badPages: readonly BadPage[];
  readonly diskBlocks: number;
  readonly badBlockCount: number;
  readonly badBlocks: readonly BadBlock[];
  readonly steps: number;
  readonly rateBytesPerSec: number;
  readonly shedMs: number;
  readonly diskWrites: number;
  readonly diskErrors: number;
  /** How long the check took, in the guest's time. */
  readonly tookMs: number;
}

type Fields = Readonly<Record<string, unknown>>;

function fieldOf(fields: Fields, name: string, type: 'number' | 'boolean' | 'string'): unknown {
  const value = fields[name];
  if (typeof value !== type) {
    throw new GuestControlError(`the guest's answer: wanted ${name} as ${type}, got ${typeof value}`, {
      remedy: 'the guest image is older or newer than this program: build it again',
    });
  }
  return value;
}

const number = (fields: Fields, name: string): number => fieldOf(fields, name, 'number') as number;
const flag = (fields: Fields, name: string): boolean => fieldOf(fields, name, 'boolean') as boolean;
const text = (fields: Fields, name: string): string => fieldOf(fields, name, 'string') as string;

function listOf(fields: Fields, name: string): readonly Fields[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw new GuestControlError(`the guest's answer: wanted a list ${name}`);
  return value as readonly Fields[];
}

function readApp(fields: Fields): AppStatus {
  const state = text(fields, 'state');
  const [exitCode, signal] = [number(fields, 'exitCode'), number(fields, 'signal')];
  if (state !== 'starting' && state !== 'running' && state !== 'ended') {
    throw new GuestControlError(`the guest's answer: wanted a state of its application, got "${state}"`);
  }
  return {
    name: text(fields, 'name'),
    state,
    exitCode: exitCode < 0 ? undefined : exitCode,
    signal: signal <= 0 ? undefined : signal,
    output: text(fields, 'output'),
  };
}

export function readStatus(fields: Fields): GuestStatus {
  return {
    ready: flag(fields, 'ready'),
    paused: flag(fields, 'paused'),
    arenaBytes: number(fields, 'arenaBytes'),
    pages: number(fields, 'pages'),
    steps: number(fields, 'steps'),
    rateBytesPerSec: number(fields, 'rateBytesPerSec'),
    shedMs: number(fields, 'shedMs'),
    uptimeMs: number(fields, 'uptimeMs'),
    diskWrites: number(fields, 'diskWrites'),
    diskErrors: number(fields, 'diskErrors'),
    pattern: text(fields, 'pattern'),
    ...(fields['app'] === undefined ? {} : { app: readApp(fields['app'] as Fields) }),
  };
}

export function readPageLocation(fields: Fields): PageLocation {
  return {
    page: number(fields, 'page'),
    physicalAddress: number(fields, 'physicalAddress'),
    kind: text(fields, 'kind') === 'hot' ? 'hot' : 'cold',
    expectedVersion: number(fields, 'expectedVersion'),
    gotVersion: number(fields, 'gotVersion'),
  };
}

export function readCoherenceReport(fields: Fields): CoherenceReport {
  return {
    coherent: flag(fields, 'coherent'),
    hotPages: number(fields, 'hotPages'),
    coldPages: number(fields, 'coldPages'),
    badPageCount: number(fields, 'badPageCount'),
    badPages: listOf(fields, 'badPages').map((page) => ({
      ...readPageLocation(page),
      firstBadWord: number(page, 'firstBadWord'),
      badWords: number(page, 'badWords'),
    })),
    diskBlocks: number(fields, 'diskBlocks'),
    badBlockCount: number(fields, 'badBlockCount'),
    badBlocks: listOf(fields, 'badBlocks').map((block) => ({
      block: number(block, 'block'),
      kind: text(block, 'kind') as BadBlock['kind'],
      expectedSequence: number(block, 'expectedSequence'),
      gotSequence: number(block, 'gotSequence'),
    })),
    steps: number(fields, 'steps'),
    rateBytesPerSec: number(fields, 'rateBytesPerSec'),
    shedMs: number(fields, 'shedMs'),
    diskWrites: number(fields, 'diskWrites'),
    diskErrors: number(fields, 'diskErrors'),
    tookMs: number(fields, 'tookMs'),
  };
}
