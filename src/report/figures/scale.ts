// SPDX-License-Identifier: Apache-2.0
// From values to pixels, and the round values that an axis shows.

export interface Scale {
  readonly from: number;
  readonly to: number;
  readonly startPx: number;
  readonly endPx: number;
  /** Values outside the domain land on its nearer end. */
  px(value: number): number;
  readonly ticks: readonly number[];
}

/** The least of 1, 2, 5 x 10^k that divides `span` into at most `most` steps. */
function niceStep(span: number, most: number): number {
  const raw = span / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5].find((factor) => factor * power >= raw * 0.999999) ?? 10);
}

/** Round values within [from, to], at most `most` + 1 of them. */
export function niceTicks(from: number, to: number, most: number): number[] {
  if (!(to > from)) return [from];
  const step = niceStep(to - from, most);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

/** Decimals that tell neighbouring ticks apart: ticks of 0.5 need one. */
export function tickText(value: number, ticks: readonly number[]): string {
  const step = Math.abs((ticks[1] ?? 1) - (ticks[0] ?? 0));
  const decimals = step > 0 ? Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) : 0;
  const text = value.toFixed(Math.min(decimals, 6));
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text;
}

export function linearScale(
  from: number,
  to: number,
  startPx: number,
  endPx: number,
  mostTicks: number,
): Scale {
  const end = to > from ? to : from + 1;
  return {
    from,
    to: end,
    startPx,
    endPx,
    px: (value) =>
      startPx + ((Math.min(end, Math.max(from, value)) - from) / (end - from)) * (endPx - startPx),
    ticks: niceTicks(from, end, mostTicks),
  };
}

/** The nearest of 1, 2, 5 x 10^k that is not above the value, or not below it. */
function niceBound(value: number, direction: 'below' | 'above'): number {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  const bounds = [1, 2, 5, 10].map((factor) => factor * power);
  return direction === 'below'
    ? (bounds.findLast((bound) => bound <= value * (1 + 1e-9)) ?? power)
    : (bounds.find((bound) => bound >= value * (1 - 1e-9)) ?? 10 * power);
}

/** Round ends around the positive values; ticks at the decades, at 2 and 5 as well where there are only few. */
export function logScale(least: number, most: number, startPx: number, endPx: number): Scale {
  const from = niceBound(least, 'below');
  const to = Math.max(niceBound(most, 'above'), 10 * from);
  const span = Math.log10(to / from);
  const factors = span > 2.5 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(from) + 1e-9); power <= to; power *= 10) {
    ticks.push(
      ...factors.map((factor) => factor * power).filter((tick) => tick >= from * 0.999 && tick <= to * 1.001),
    );
  }
  return {
    from,
    to,
    startPx,
    endPx,
    px: (value) => {
      const inside = Math.min(to, Math.max(from, value));
      return startPx + (Math.log10(inside / from) / span) * (endPx - startPx);
    },
    ticks,
  };
}
