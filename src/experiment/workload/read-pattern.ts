// SPDX-License-Identifier: Apache-2.0
// The `pattern` of a workload file.

import type { FilePlace, YamlReader } from '../../common/index.ts';
import { AMOUNT, DURATION, numberKind, oneOf, RATE, RATIO, readDeciding } from './kinds.ts';
import type { PatternTemplate, SegmentTemplate } from './workload.ts';

const SEGMENT_KINDS = ['idle', 'steady', 'drift', 'zipf', 'readmostly'] as const;
const KINDS = [...SEGMENT_KINDS, 'burst', 'phases'] as const;

const WINDOW = ['kind', 'set', 'rate', 'offset', 'touch'] as const;
const ORDERED = [...WINDOW, 'order'] as const;

const TOUCH = oneOf('4096', '8');
const ORDER = oneOf('seq', 'random');
const EXPONENT = numberKind('an exponent in (0, 4]', (value) => value > 0 && value <= 4);

/** Stands in for a pattern whose kind is not right, once that is noted. */
const IDLE = { kind: 'idle' } as const;

function readWindow(reader: YamlReader, fields: Readonly<Record<(typeof WINDOW)[number], FilePlace>>) {
  const offset = reader.optional(fields.offset, AMOUNT, undefined);
  return {
    set: reader.required(fields.set, AMOUNT),
    rateBytesPerSec: reader.required(fields.rate, RATE),
    ...(offset === undefined ? {} : { offset }),
    ...(reader.optional(fields.touch, TOUCH, '4096') === '8' ? { touchBytes: 8 as const } : {}),
  };
}

function readOrdered(reader: YamlReader, fields: Readonly<Record<(typeof ORDERED)[number], FilePlace>>) {
  const order = reader.optional(fields.order, ORDER, undefined);
  return { ...readWindow(reader, fields), ...(order === undefined ? {} : { order }) };
}

function readSegment(reader: YamlReader, place: FilePlace, kind: SegmentTemplate['kind']): SegmentTemplate {
  switch (kind) {
    case 'idle':
      reader.fields(place, ['kind']);
      return IDLE;
    case 'steady':
      return { kind, ...readOrdered(reader, reader.fields(place, ORDERED)) };
    case 'drift': {
      const fields = reader.fields(place, [...ORDERED, 'step']);
      return { kind, ...readOrdered(reader, fields), step: reader.required(fields.step, AMOUNT) };
    }
    case 'zipf': {
      const fields = reader.fields(place, [...WINDOW, 'exponent']);
      return { kind, ...readWindow(reader, fields), exponent: reader.required(fields.exponent, EXPONENT) };
    }
    case 'readmostly': {
      const fields = reader.fields(place, [...ORDERED, 'writes']);
      return { kind, ...readOrdered(reader, fields), writesRatio: reader.required(fields.writes, RATIO) };
    }
  }
}

function readPhase(reader: YamlReader, place: FilePlace): { forMs: number; pattern: SegmentTemplate } {
  const fields = reader.fields(place, ['for', 'pattern']);
  const forMs = reader.required(fields.for, DURATION);
  const kind = readDeciding(reader, fields.pattern, 'kind', oneOf(...SEGMENT_KINDS));
  return { forMs, pattern: kind === null ? IDLE : readSegment(reader, fields.pattern, kind) };
}

export function readPattern(reader: YamlReader, place: FilePlace): PatternTemplate {
  const kind = readDeciding(reader, place, 'kind', oneOf(...KINDS));
  switch (kind) {
    case null:
      return IDLE;
    case 'phases': {
      const { phases } = reader.fields(place, ['kind', 'phases']);
      return { kind, phases: reader.items(phases).map((phase) => readPhase(reader, phase)) };
    }
    case 'burst': {
      const fields = reader.fields(place, [...ORDERED, 'on', 'off']);
      return {
        kind,
        ...readOrdered(reader, fields),
        onMs: reader.required(fields.on, DURATION),
        offMs: reader.required(fields.off, DURATION),
      };
    }
    default:
      return readSegment(reader, place, kind);
  }
}
