// SPDX-License-Identifier: Apache-2.0
// --weights: what the ways of a migration are weighed by.

import { UsageError } from '../common/index.ts';
import { DEFAULT_WEIGHTS } from '../decide/index.ts';
import type { CostWeights } from '../model/index.ts';

const EXAMPLE = 'tmt=1,downtime=10,slowdown=1,bytes=0';

/** What is not named keeps its default. @throws UsageError */
export function parseWeights(text: string): CostWeights {
  const weights: Record<string, number> = { ...DEFAULT_WEIGHTS };
  for (const part of text.split(',')) {
    const [, name, value] = /^\s*([a-z]+)\s*=\s*(\d+(?:\.\d+)?)\s*$/.exec(part) ?? [];
    if (name === undefined || !(name in DEFAULT_WEIGHTS)) {
      throw new UsageError(`--weights: expected a list such as ${EXAMPLE}, got "${text}"`, {
        remedy: `weights: ${Object.keys(DEFAULT_WEIGHTS).join(', ')}, each 0 or more`,
      });
    }
    weights[name] = Number(value);
  }
  if (Object.values(weights).every((weight) => weight === 0)) {
    throw new UsageError('--weights: at least one weight has to be above 0');
  }
  return weights as unknown as CostWeights;
}
