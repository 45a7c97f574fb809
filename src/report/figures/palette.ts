// SPDX-License-Identifier: Apache-2.0
// Which colour and dash a policy has: the same in every figure. Colours after Okabe and Ito (told apart with every common
// colour blindness), their yellow left out because it cannot be seen on white. They are CSS variables, lighter on dark.

import { ADAPTIVE } from '../result-set.ts';

export interface PolicyStyle {
  readonly colour: string;
  /** For stroke-dasharray; null: solid. */
  readonly dash: string | null;
  readonly widthPx: number;
}

/** CSS variables --c0 .. --c6 in light, then in dark. */
export const SERIES_COLOURS: readonly (readonly [light: string, dark: string])[] = [
  ['#0067a5', '#58b4f0'],
  ['#c2500a', '#f5884a'],
  ['#00805c', '#35c79d'],
  ['#a9477f', '#e391c0'],
  ['#ad7a00', '#e9b949'],
  ['#5a6472', '#a9b4c2'],
  ['#7a4fc4', '#b79cf0'],
];

/** Once the colours are used up they come again with the next dash. */
const DASHES: readonly (string | null)[] = [null, '7 3', '2 3', '9 3 2 3'];

/** Styles by policy, in order of the experiment file; ours always has the first colour, alone, and the widest line. */
export function policyStyles(policies: readonly string[]): Map<string, PolicyStyle> {
  const others = policies.filter((policy) => policy !== ADAPTIVE);
  const perDash = SERIES_COLOURS.length - 1;
  const styles = new Map<string, PolicyStyle>([[ADAPTIVE, { colour: 'var(--c0)', dash: null, widthPx: 3 }]]);
  others.forEach((policy, index) => {
    styles.set(policy, {
      colour: `var(--c${1 + (index % perDash)})`,
      dash: DASHES[Math.floor(index / perDash) % DASHES.length] ?? null,
      widthPx: 1.8,
    });
  });
  return styles;
}

export function styleOf(styles: ReadonlyMap<string, PolicyStyle>, policy: string): PolicyStyle {
  return styles.get(policy) ?? { colour: 'var(--ink)', dash: null, widthPx: 1.8 };
}
