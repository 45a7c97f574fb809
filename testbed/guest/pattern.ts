// SPDX-License-Identifier: Apache-2.0
// A write pattern as the text that the guest reads (native/guest/pattern-parse.c).

import type {
  BurstPattern,
  PatternWindow,
  SegmentPattern,
  WritePattern,
} from '../../src/experiment/index.ts';
import { GuestSpecError } from '../errors.ts';

const PAGE_BYTES = 4096;
const TEXT_MAX_BYTES = 479;
const PHASES_MAX = 16;

function check(ok: boolean, wanted: string, got: unknown): void {
  if (!ok) throw new GuestSpecError(`write pattern: wanted ${wanted}, got ${String(got)}`);
}

function bytesText(bytes: number): string {
  for (const [unit, factor] of [
    ['G', 2 ** 30],
    ['M', 2 ** 20],
    ['K', 2 ** 10],
  ] as const) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

function windowOptions(window: PatternWindow): string[] {
  check(
    Number.isInteger(window.setBytes / PAGE_BYTES) && window.setBytes > 0,
    'setBytes of one or more whole pages',
    window.setBytes,
  );
  check(
    Number.isFinite(window.rateBytesPerSec) && window.rateBytesPerSec >= PAGE_BYTES,
    'rateBytesPerSec of a page or more',
    window.rateBytesPerSec,
  );
  const offsetBytes = window.offsetBytes ?? 0;
  check(
    Number.isInteger(offsetBytes / PAGE_BYTES) && offsetBytes >= 0,
    'offsetBytes of whole pages',
    offsetBytes,
  );
  return [
    `set=${bytesText(window.setBytes)}`,
    `rate=${bytesText(Math.round(window.rateBytesPerSec))}`,
    ...(offsetBytes === 0 ? [] : [`offset=${bytesText(offsetBytes)}`]),
    ...(window.touchBytes === 8 ? ['touch=8'] : []),
  ];
}

function orderOption(order: 'seq' | 'random' | undefined): string[] {
  return order === 'random' ? ['order=random'] : [];
}

function durationOption(name: string, ms: number): string {
  check(Number.isFinite(ms) && ms >= 1, `${name} of 1 ms or more`, ms);
  return `${name}=${ms}ms`;
}

/** The pattern's own options, in the order of the text. */
function patternOptions(pattern: SegmentPattern | BurstPattern): string[] {
  switch (pattern.kind) {
    case 'idle':
      return [];
    case 'steady':
      return [...windowOptions(pattern), ...orderOption(pattern.order)];
    case 'drift':
      check(
        Number.isInteger(pattern.stepBytes / PAGE_BYTES) && pattern.stepBytes > 0,
        'stepBytes of one or more whole pages',
        pattern.stepBytes,
      );
      return [
        ...windowOptions(pattern),
        ...orderOption(pattern.order),
        `step=${bytesText(pattern.stepBytes)}`,
      ];
    case 'zipf':
      check(pattern.exponent > 0 && pattern.exponent <= 4, 'an exponent in (0, 4]', pattern.exponent);
      return [...windowOptions(pattern), `exponent=${pattern.exponent}`];
    case 'readmostly':
      check(
        pattern.writesRatio > 0 && pattern.writesRatio <= 1,
        'writesRatio in (0, 1]',
        pattern.writesRatio,
      );
      return [...windowOptions(pattern), ...orderOption(pattern.order), `writes=${pattern.writesRatio}`];
    case 'burst':
      return [
        ...windowOptions(pattern),
        ...orderOption(pattern.order),
        durationOption('on', pattern.onMs),
        durationOption('off', pattern.offMs),
      ];
  }
}

function optionsText(kind: string, options: readonly string[]): string {
  return options.length === 0 ? kind : `${kind}:${options.join(',')}`;
}

/** The text that the guest reads. @throws GuestSpecError when a value is out of range. */
export function formatPattern(pattern: WritePattern): string {
  let text: string;
  if (pattern.kind === 'phases') {
    check(
      pattern.phases.length > 0 && pattern.phases.length <= PHASES_MAX,
      `1 to ${PHASES_MAX} phases`,
      pattern.phases.length,
    );
    const parts = pattern.phases.map((phase) =>
      optionsText(phase.pattern.kind, [...patternOptions(phase.pattern), durationOption('for', phase.forMs)]),
    );
    text = `phases:${parts.join('/')}`;
  } else {
    text = optionsText(pattern.kind, patternOptions(pattern));
  }
  check(text.length <= TEXT_MAX_BYTES, `a text of at most ${TEXT_MAX_BYTES} characters`, text.length);
  return text;
}
