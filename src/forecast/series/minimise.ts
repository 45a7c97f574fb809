// SPDX-License-Identifier: Apache-2.0
// The least value of a function of a few numbers, without its derivatives: the simplex method of Nelder and Mead (1965).

interface Corner {
  readonly at: readonly number[];
  readonly value: number;
}

const TOLERANCE = 1e-10;

/** From `start`, with first steps of `step`; deterministic. Where `f` is not finite it counts as infinite. */
export function minimise(
  f: (at: readonly number[]) => number,
  start: readonly number[],
  step: number,
  mostSteps = 400,
): Corner {
  const corner = (at: readonly number[]): Corner => {
    const value = f(at);
    return { at, value: Number.isFinite(value) ? value : Infinity };
  };
  let simplex = [
    corner(start),
    ...start.map((_, i) => corner(start.map((x, j) => (i === j ? x + step : x)))),
  ];
  for (let i = 0; i < mostSteps; i++) {
    simplex = simplex.toSorted((a, b) => a.value - b.value);
    const best = simplex[0];
    const worst = simplex.at(-1);
    const second = simplex.at(-2);
    if (best === undefined || worst === undefined || second === undefined) break;
    if (Math.abs(worst.value - best.value) <= TOLERANCE * (Math.abs(best.value) + TOLERANCE)) break;
    const others = simplex.slice(0, -1);
    const centre = start.map((_, j) => others.reduce((sum, { at }) => sum + (at[j] ?? 0), 0) / others.length);
    const along = (by: number): Corner => corner(centre.map((c, j) => c + by * ((worst.at[j] ?? 0) - c)));
    const reflected = along(-1);
    let next: Corner;
    if (reflected.value < best.value) {
      const expanded = along(-2);
      next = expanded.value < reflected.value ? expanded : reflected;
    } else if (reflected.value < second.value) {
      next = reflected;
    } else {
      next = along(reflected.value < worst.value ? -0.5 : 0.5);
      if (next.value >= Math.min(worst.value, reflected.value)) {
        simplex = simplex.map((each) =>
          each === best ? best : corner(each.at.map((x, j) => ((best.at[j] ?? 0) + x) / 2)),
        );
        continue;
      }
    }
    simplex = [...others, next];
  }
  return simplex.reduce((best, each) => (each.value < best.value ? each : best));
}
