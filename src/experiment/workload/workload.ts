// SPDX-License-Identifier: Apache-2.0
// A workload as values: what its file says, with sizes that may still be shares of the guest's memory.

import type { Amount } from './amount.ts';

export const WORKLOAD_SCHEMA = 'slackwater/workload@1';

/** The applications that a test guest can run beside its checked memory. */
export const APP_NAMES = ['redis', 'memcached', 'sysbench', 'fio', 'stress-ng', 'build-mix'] as const;

export type AppName = (typeof APP_NAMES)[number];

interface WindowTemplate {
  readonly set: Amount;
  readonly rateBytesPerSec: number;
  readonly offset?: Amount;
  readonly touchBytes?: 8 | 4096;
}

interface Ordered {
  readonly order?: 'seq' | 'random';
}

/** The patterns of pattern.ts, before the guest's size is known. */
export type SegmentTemplate =
  | { readonly kind: 'idle' }
  | ({ readonly kind: 'steady' } & WindowTemplate & Ordered)
  | ({ readonly kind: 'drift'; readonly step: Amount } & WindowTemplate & Ordered)
  | ({ readonly kind: 'zipf'; readonly exponent: number } & WindowTemplate)
  | ({ readonly kind: 'readmostly'; readonly writesRatio: number } & WindowTemplate & Ordered);

export type PatternTemplate =
  | SegmentTemplate
  | ({ readonly kind: 'burst'; readonly onMs: number; readonly offMs: number } & WindowTemplate & Ordered)
  | {
      readonly kind: 'phases';
      readonly phases: readonly { readonly forMs: number; readonly pattern: SegmentTemplate }[];
    };

/** Requests of a client on another host, as YCSB makes them. */
export interface LoadTemplate {
  readonly records: number;
  readonly valueBytes: number;
  readonly requestsPerSec: number;
  readonly connections: number;
  /** The rest of the requests are updates. */
  readonly readRatio: number;
  /** Exponent of the popularity of the records, below 1; 0: all alike. */
  readonly zipf: number;
}

export interface ServerTemplate {
  readonly name: 'redis' | 'memcached';
  /** Most that the server may hold. */
  readonly memory: Amount;
  readonly load: LoadTemplate;
}

export interface SysbenchTemplate {
  readonly name: 'sysbench';
  /** Written again and again. */
  readonly block: Amount;
  readonly rateBytesPerSec: number;
  readonly access: 'seq' | 'random';
}

export interface FioTemplate {
  readonly name: 'fio';
  /** The file that it reads and writes, through the page cache. */
  readonly set: Amount;
  readonly rateBytesPerSec: number;
  readonly readRatio: number;
}

export interface StressNgTemplate {
  readonly name: 'stress-ng';
  readonly set: Amount;
  /** One of `stress-ng --vm-method`. */
  readonly method: string;
}

export interface BuildMixTemplate {
  readonly name: 'build-mix';
  /** The tmpfs in which it works. */
  readonly set: Amount;
  readonly jobs: number;
}

export type AppTemplate =
  ServerTemplate | SysbenchTemplate | FioTemplate | StressNgTemplate | BuildMixTemplate;

export interface Workload {
  readonly name: string;
  readonly title: string;
  /** What the guest's own writer does in the checked memory. */
  readonly pattern: PatternTemplate;
  /** An application beside it, and how much of the memory is checked then. */
  readonly app?: AppTemplate;
  readonly arena?: Amount;
}

/** Whether it is busy and quiet by turns: what such a guest got done in one stretch says nothing of another. */
export function worksByTurns({ pattern }: Workload): boolean {
  return pattern.kind === 'burst' || pattern.kind === 'phases';
}
