// SPDX-License-Identifier: Apache-2.0
// The `pattern` of a workload file.

import type { Fields } from './fields.ts';
import type { PatternTemplate, SegmentTemplate } from './workload.ts';

const SEGMENT_KINDS = ['idle', 'steady', 'drift', 'zipf', 'readmostly'] as const;
const KINDS = [...SEGMENT_KINDS, 'burst', 'phases'] as const;

function readWindow(fields: Fields) {
  return {
    set: fields.amount('set'),
    rateBytesPerSec: fields.rateBytesPerSec('rate'),
    ...(fields.has('offset') ? { offset: fields.amount('offset') } : {}),
    ...(fields.has('touch') && fields.choice('touch', ['4096', '8']) === '8'
      ? { touchBytes: 8 as const }
      : {}),
  };
}

function readOrder(fields: Fields): { order?: 'seq' | 'random' } {
  return fields.has('order') ? { order: fields.choice('order', ['seq', 'random']) } : {};
}

function readSegment(fields: Fields, kind: SegmentTemplate['kind']): SegmentTemplate {
  switch (kind) {
    case 'idle':
      return { kind };
    case 'steady':
      return { kind, ...readWindow(fields), ...readOrder(fields) };
    case 'drift':
      return { kind, ...readWindow(fields), ...readOrder(fields), step: fields.amount('step') };
    case 'zipf': {
      const exponent = fields.number('exponent', 'an exponent in (0, 4]', (value) => value > 0 && value <= 4);
      return { kind, ...readWindow(fields), exponent };
    }
    case 'readmostly':
      return { kind, ...readWindow(fields), ...readOrder(fields), writesRatio: fields.ratio('writes') };
  }
}

export function readPattern(fields: Fields): PatternTemplate {
  const kind = fields.kind('kind', KINDS);
  let pattern: PatternTemplate;
  if (kind === 'phases') {
    const phases = fields.list('phases').map((phase) => {
      const forMs = phase.durationMs('for');
      const segment = phase.fields('pattern');
      const read = readSegment(segment, segment.kind('kind', SEGMENT_KINDS));
      segment.end();
      phase.end();
      return { forMs, pattern: read };
    });
    pattern = { kind, phases };
  } else if (kind === 'burst') {
    const times = { onMs: fields.durationMs('on'), offMs: fields.durationMs('off') };
    pattern = { kind, ...readWindow(fields), ...readOrder(fields), ...times };
  } else {
    pattern = readSegment(fields, kind);
  }
  fields.end();
  return pattern;
}
