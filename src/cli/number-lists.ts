// SPDX-License-Identifier: Apache-2.0
// Options that are lists of NAME=NUMBER: --weights, what the ways of a migration are weighed by; --working-set, when the pages
// that a guest writes are taken to be the same round after round.

import { UsageError } from '../common/index.ts';
import { DEFAULT_WEIGHTS } from '../decide/index.ts';
import { DEFAULT_WORKING_SET } from '../forecast/index.ts';
import type { CostWeights, WorkingSetConfig } from '../model/index.ts';

/** The numbers of a list, those of `defaults` where it does not name them. @throws UsageError */
function parseNumbers<T extends Readonly<Record<string, number>>>(
  text: string,
  { option, example, defaults }: { option: string; example: string; defaults: T },
): T {
  const numbers: Record<string, number> = { ...defaults };
  for (const part of text.split(',')) {
    const [, name, value] = /^\s*([a-z]+)\s*=\s*(\d+(?:\.\d+)?)\s*$/.exec(part) ?? [];
    if (name === undefined || !Object.hasOwn(defaults, name)) {
      throw new UsageError(`${option}: expected a list such as ${example}, got "${text}"`, {
        remedy: `names: ${Object.keys(defaults).join(', ')}, each 0 or more`,
      });
    }
    numbers[name] = Number(value);
  }
  return numbers as T;
}

/** What is not named keeps its default. @throws UsageError */
export function parseWeights(text: string): CostWeights {
  const weights = parseNumbers(text, {
    option: '--weights',
    example: 'tmt=1,downtime=10,slowdown=1,bytes=0',
    defaults: { ...DEFAULT_WEIGHTS },
  });
  if (Object.values(weights).every((weight) => weight === 0)) {
    throw new UsageError('--weights: at least one weight has to be above 0');
  }
  return weights;
}

/** What is not named keeps its default. @throws UsageError */
export function parseWorkingSet(text: string): WorkingSetConfig {
  const { minSimilarity, maxSizeChangeRatio, rounds: defaultRounds } = DEFAULT_WORKING_SET;
  const { similarity, size, rounds } = parseNumbers(text, {
    option: '--working-set',
    example: 'similarity=0.9,size=0.04,rounds=2',
    defaults: { similarity: minSimilarity, size: maxSizeChangeRatio, rounds: defaultRounds },
  });
  if (similarity > 1 || rounds < 1 || !Number.isInteger(rounds)) {
    throw new UsageError(
      `--working-set: expected a similarity of at most 1 and whole rounds, 1 or more, got "${text}"`,
    );
  }
  return { minSimilarity: similarity, maxSizeChangeRatio: size, rounds };
}
