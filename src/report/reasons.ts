// SPDX-License-Identifier: Apache-2.0
// Why a claim does not hold, in the words of whoever looked into it: figures say by how much, not why. Kept beside the results as
// `reasons.yaml`, shown where the claim is red and nowhere else, so that a reason cannot outlive what it explains.

import { choiceKind, type FilePlace, nameAmong, TEXT_LINE, YamlReader } from '../common/index.ts';
import { type Experiment, ExperimentError } from '../experiment/index.ts';
import { type Claim, CLAIMS, type Reason } from './claims.ts';
import type { Verdict } from './verdict.ts';

export const REASONS_SCHEMA = 'slackwater/reasons@1';

function readReason(
  reader: YamlReader,
  place: FilePlace,
  { guests, policies }: Pick<Experiment, 'guests' | 'policies'>,
): Reason {
  const fields = reader.fields(place, ['guests', 'policy', 'claim', 'reason']);
  const [claim, ...otherClaims] = Object.keys(CLAIMS) as [Claim, ...Claim[]];
  return {
    guests: reader.items(fields.guests).map((item) => reader.required(item, nameAmong(guests))),
    policy: reader.required(fields.policy, nameAmong(policies)),
    claim: reader.required(fields.claim, choiceKind(claim, ...otherClaims)),
    text: reader.required(fields.reason, TEXT_LINE),
  };
}

/** @throws ExperimentError that lists every problem with its line */
export function parseReasons(
  text: string,
  fileName: string,
  experiment: Pick<Experiment, 'guests' | 'policies'>,
): Reason[] {
  const reader = new YamlReader(text);
  const fields = reader.fields(reader.root, ['schema', 'reasons']);
  reader.required(fields.schema, choiceKind(REASONS_SCHEMA));
  const reasons = reader.items(fields.reasons).map((item) => readReason(reader, item, experiment));
  if (reader.problems.length > 0) throw new ExperimentError(fileName, reader.problems);
  return reasons;
}

/** The verdict with its reason, if it needs one and there is one. */
export function withReason(verdict: Verdict, reasons: readonly Reason[]): Verdict {
  if (verdict.state !== 'red') return verdict;
  const { guest, policy, claim } = verdict;
  const known = reasons.find(
    (reason) => reason.guests.includes(guest) && reason.policy === policy && reason.claim === claim,
  );
  return known === undefined ? verdict : { ...verdict, reason: known.text };
}
