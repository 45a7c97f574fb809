// SPDX-License-Identifier: Apache-2.0
// The dirtying curve U(t) = H (1 - e^(-t/tau)) + r t: distinct bytes that a guest dirties within t ms. H is the writable
// working set, H/tau its initial dirtying rate, r what keeps growing (a drifting set, a scan).
// It is fitted to (window, distinct dirty bytes) points: each round is one, each direct sample another.

import type { DirtyCurve } from '../model/index.ts';

/** One remembered point of the curve. */
export interface CurvePoint {
  readonly windowMs: number;
  readonly dirtyBytes: number;
  /** When it was measured. */
  readonly atMs: number;
}

/**
 * The points that a fit uses: at most one per half octave of window length, the newer blended into the older. So a
 * thousand short rounds cannot crowd out the one long round that shows the working set's full size, memory stays
 * bounded, and a guest that changes is followed.
 */
export type CurvePoints = ReadonlyMap<number, CurvePoint>;

export interface CurveFit {
  readonly curve: DirtyCurve;
  /** Relative root-mean-square residual over the points used. */
  readonly residualRatio: number;
}

const NEW_POINT_WEIGHT = 0.7;
const TAU_STEPS = 16;
const TAU_REFINEMENTS = 4;
// A guest changes: a point says nothing any more after ten times its own window, and after half a minute at the earliest.
const MIN_LIFE_MS = 30_000;
const LIFE_WINDOWS = 10;

/** U(t) in bytes. U(0) = 0. Worked example: H 64 MiB, tau 320 ms, r 0, t 573 ms: 64 (1 - e^-1.79) = 53.3 MiB. */
export function dirtyBytesWithin(curve: DirtyCurve, windowMs: number): number {
  if (windowMs <= 0) return 0;
  return curve.hotBytes * -Math.expm1(-windowMs / curve.tauMs) + curve.coldBytesPerMs * windowMs;
}

/** Half octaves of window length. */
export function binOf(windowMs: number): number {
  return Math.round(2 * Math.log2(windowMs));
}

/** Shorter than a clock reading, or less than a byte: no measurement. */
const MIN_WINDOW_MS = 0.01;
const MIN_DIRTY_BYTES = 1;

/** The points with one more, less those too old; one of no length or no dirty bytes teaches nothing and is left out. */
export function withPoint(points: CurvePoints, point: CurvePoint): CurvePoints {
  if (!(point.windowMs >= MIN_WINDOW_MS) || !(point.dirtyBytes >= MIN_DIRTY_BYTES)) return points;
  const bin = binOf(point.windowMs);
  const old = points.get(bin);
  const keep = old === undefined ? 0 : 1 - NEW_POINT_WEIGHT;
  const blended = {
    windowMs: keep * (old?.windowMs ?? 0) + (1 - keep) * point.windowMs,
    dirtyBytes: keep * (old?.dirtyBytes ?? 0) + (1 - keep) * point.dirtyBytes,
    atMs: point.atMs,
  };
  const alive = [...points].filter(
    ([, known]) => point.atMs - known.atMs <= Math.max(MIN_LIFE_MS, LIFE_WINDOWS * known.windowMs),
  );
  return new Map(alive).set(bin, blended);
}

/**
 * The points lifted to their least concave majorant through the origin. Distinct dirty bytes are a concave function of the
 * window, so a point below the chord of its neighbours was taken while the guest stood still (a stalled vCPU, an idle
 * moment): it must not pass for a slow writer. Worked example, measured: 0.65 MB in 104 ms, but 46.7 MB in 301 ms and
 * 64 MB in 1 s: the first is lifted to 46.7 x 104/301 = 16.1 MB. Left as it was, it made every next round look promising.
 */
export function liftToConcave(points: readonly CurvePoint[]): CurvePoint[] {
  const sorted = [...points].sort((a, b) => a.windowMs - b.windowMs);
  const hull: { windowMs: number; dirtyBytes: number }[] = [{ windowMs: 0, dirtyBytes: 0 }];
  for (const point of sorted) {
    for (;;) {
      const last = hull.at(-1);
      const before = hull.at(-2);
      if (last === undefined || before === undefined) break;
      const risesTo =
        before.dirtyBytes +
        ((point.dirtyBytes - before.dirtyBytes) * (last.windowMs - before.windowMs)) /
          (point.windowMs - before.windowMs);
      if (last.dirtyBytes > risesTo) break;
      hull.pop();
    }
    hull.push(point);
  }
  return sorted.map((point) => {
    const next = hull.findIndex(({ windowMs }) => windowMs >= point.windowMs);
    const right = hull[next];
    const left = hull[next - 1];
    if (right === undefined || left === undefined) return point;
    const ratio = (point.windowMs - left.windowMs) / (right.windowMs - left.windowMs);
    const onHull = left.dirtyBytes + ratio * (right.dirtyBytes - left.dirtyBytes);
    return { ...point, dirtyBytes: Math.max(point.dirtyBytes, onHull) };
  });
}

interface LinearPart {
  readonly hotBytes: number;
  readonly coldBytesPerMs: number;
  readonly sumOfSquares: number;
}

/** Least squares of relative residuals in H and r for one tau, both kept non-negative. */
function solveForTau(points: readonly CurvePoint[], tauMs: number): LinearPart {
  let [aa, ab, bb, ay, by] = [0, 0, 0, 0, 0];
  for (const { windowMs, dirtyBytes } of points) {
    const a = -Math.expm1(-windowMs / tauMs) / dirtyBytes;
    const b = windowMs / dirtyBytes;
    aa += a * a;
    ab += a * b;
    bb += b * b;
    ay += a;
    by += b;
  }
  // The sum of (H a + r b - 1)^2, multiplied out.
  const squares = (hot: number, cold: number): number =>
    hot * hot * aa + cold * cold * bb + 2 * (hot * cold * ab - hot * ay - cold * by) + points.length;
  const determinant = aa * bb - ab * ab;
  if (determinant > 1e-9 * aa * bb) {
    const hot = (ay * bb - by * ab) / determinant;
    const cold = (by * aa - ay * ab) / determinant;
    if (hot >= 0 && cold >= 0) {
      return { hotBytes: hot, coldBytesPerMs: cold, sumOfSquares: Math.max(0, squares(hot, cold)) };
    }
  }
  const onlyHot = { hotBytes: ay / aa, coldBytesPerMs: 0, sumOfSquares: Math.max(0, squares(ay / aa, 0)) };
  const onlyCold = { hotBytes: 0, coldBytesPerMs: by / bb, sumOfSquares: Math.max(0, squares(0, by / bb)) };
  return onlyCold.sumOfSquares < onlyHot.sumOfSquares ? onlyCold : onlyHot;
}

/** The best tau between the two, on a logarithmic scale: coarse steps first, then closer and closer round the best. */
function bestTau(
  points: readonly CurvePoint[],
  lowestMs: number,
  highestMs: number,
): { tauMs: number; part: LinearPart } {
  let best = { tauMs: lowestMs, part: solveForTau(points, lowestMs) };
  const consider = (tauMs: number): void => {
    const part = solveForTau(points, tauMs);
    if (part.sumOfSquares < best.part.sumOfSquares * (1 - 1e-9)) best = { tauMs, part };
  };
  let step = (highestMs / lowestMs) ** (1 / TAU_STEPS);
  for (let i = 1; i <= TAU_STEPS; i++) consider(lowestMs * step ** i);
  for (let i = 0; i < TAU_REFINEMENTS; i++) {
    step = Math.sqrt(step);
    const { tauMs } = best;
    consider(Math.max(lowestMs, tauMs / step));
    consider(Math.min(highestMs, tauMs * step));
  }
  return best;
}

/** Points are never changed in place: what was fitted to them once holds. */
const fits = new WeakMap<CurvePoints, CurveFit | null>();

/**
 * The curve through the points, or null without any. With a single point the shape is open: it is read as a set that
 * the window has mostly covered (tau a third of the window), which predicts shorter rounds to come and so leads to
 * one more round, whose result then settles it.
 */
export function fitDirtyCurve(points: CurvePoints): CurveFit | null {
  const known = fits.get(points);
  if (known !== undefined) return known;
  const fit = fitAnew(points);
  fits.set(points, fit);
  return fit;
}

function fitAnew(points: CurvePoints): CurveFit | null {
  const list = liftToConcave([...points.values()]);
  const first = list[0];
  const last = list.at(-1);
  if (first === undefined || last === undefined) return null;
  if (list.length === 1) {
    const tauMs = first.windowMs / 3;
    return {
      curve: { hotBytes: first.dirtyBytes / -Math.expm1(-3), tauMs, coldBytesPerMs: 0 },
      residualRatio: 0,
    };
  }
  // tau from a tenth of the shortest window (saturated in all) to three times the longest (straight in all).
  const best = bestTau(list, first.windowMs / 10, last.windowMs * 3);
  return {
    curve: {
      hotBytes: best.part.hotBytes,
      tauMs: best.tauMs,
      coldBytesPerMs: best.part.coldBytesPerMs,
    },
    residualRatio: Math.sqrt(best.part.sumOfSquares / list.length),
  };
}
