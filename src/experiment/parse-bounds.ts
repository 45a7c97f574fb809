// SPDX-License-Identifier: Apache-2.0
// What an experiment asks of its figures, out of its file: `bounds` that the medians are to keep.

import {
  choiceKind,
  durationKind,
  type FilePlace,
  type Kind,
  nameAmong,
  type YamlReader,
} from '../common/index.ts';
import type { Bound, ExperimentGuest, ExperimentPolicy } from './schema.ts';
import { numberKind } from './workload/kinds.ts';

const MULTIPLE = numberKind('a multiple such as 1.1', (value) => value > 0 && value < 1000);
const DURATION = durationKind('1ms', '24h');

const FIGURES = ['total', 'bytes', 'client-downtime', 'stop-to-resume', 'lost-work', 'by'] as const;

export function readBounds(
  reader: YamlReader,
  place: FilePlace,
  guests: readonly ExperimentGuest[],
  policies: readonly ExperimentPolicy[],
): readonly Bound[] {
  if (place.node === null) return [];
  return reader.items(place).map((item) => readBound(reader, item, nameAmong(guests), nameAmong(policies)));
}

function readBound(reader: YamlReader, place: FilePlace, guest: Kind<string>, policy: Kind<string>): Bound {
  const fields = reader.fields(place, ['guests', 'policy', ...FIGURES]);
  if (FIGURES.every((figure) => fields[figure].node === null)) {
    reader.note(place, `expected something that is asked: one of ${FIGURES.join(', ')}`);
  }
  const lostWork =
    fields['lost-work'].node === null ? null : reader.fields(fields['lost-work'], ['ratio', 'of']);
  const by = reader.optional(fields.by, choiceKind('precopy'), null);
  return {
    guests: reader.items(fields.guests).map((each) => reader.required(each, guest)),
    policy: reader.required(fields.policy, policy),
    floorRatio: reader.optional(fields.total, MULTIPLE, null),
    bytesRatio: reader.optional(fields.bytes, MULTIPLE, null),
    downtimeGuestMs: reader.optional(fields['client-downtime'], DURATION, null),
    downtimeStopToResumeMs: reader.optional(fields['stop-to-resume'], DURATION, null),
    lostWork:
      lostWork === null
        ? null
        : { ratio: reader.required(lostWork.ratio, MULTIPLE), of: reader.required(lostWork.of, policy) },
    isByPrecopy: by !== null,
  };
}
