// SPDX-License-Identifier: Apache-2.0
// A report as a browser draws it: what it complains of, what it loads, and each figure with its marks.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Test } from 'tap';

const { findChromium } = (await import(new URL('../../../scripts/debian.mjs', import.meta.url).href)) as {
  findChromium: () => string | undefined;
};

/** Undefined where this machine has none. */
export const chromiumPath = findChromium();

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface DrawnFigure {
  /** Such as `tmt-0`. */
  readonly id: string;
  readonly widthPx: number;
  readonly heightPx: number;
  /** How many there are of each kind: `bar`, `point`, `curve`, and lines by what they show, such as `line work`. */
  readonly marks: Readonly<Record<string, number>>;
  /** Marks without extent or colour, or outside their figure. */
  readonly invisible: readonly string[];
}

export interface DrawnPage {
  readonly errors: readonly string[];
  /** Addresses of all that was loaded. */
  readonly requests: readonly string[];
  readonly figures: readonly DrawnFigure[];
  /** Elements <figure> in which nothing is drawn. */
  readonly emptyFigures: number;
}

// Runs in the page. As text: there is no browser among the types of this project, and the compiler's helpers are not there.
const LOOK = `(() => {
  const kindOf = (mark) => {
    const classes = [...mark.classList];
    return classes.includes('line') ? classes.join(' ') : classes[0];
  };
  const figures = [...document.querySelectorAll('figure svg')].map((svg) => {
    const frame = svg.getBoundingClientRect();
    const marks = {};
    const invisible = [];
    for (const mark of svg.querySelectorAll('rect.bar, circle.point, path.curve, path.line')) {
      const kind = kindOf(mark);
      marks[kind] = (marks[kind] ?? 0) + 1;
      const box = mark.getBoundingClientRect();
      const style = getComputedStyle(mark);
      const isInside = box.left >= frame.left - 1 && box.right <= frame.right + 1 &&
        box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
      const hasExtent = box.width + box.height > 0;
      const hasColour = (kind === 'bar' || kind === 'point' ? style.fill : style.stroke) !== 'none';
      if (!isInside || !hasExtent || !hasColour || style.visibility !== 'visible') {
        invisible.push(kind + ' ' + JSON.stringify({ box, fill: style.fill, stroke: style.stroke }));
      }
    }
    const id = (svg.getAttribute('aria-labelledby') ?? '').replace(/-title$/, '');
    return { id, widthPx: frame.width, heightPx: frame.height, marks, invisible };
  });
  const emptyFigures = [...document.querySelectorAll('figure')].filter((each) => !each.querySelector('svg')).length;
  return { figures, emptyFigures };
})()`;

/** Opens a page in a browser of its own, looks at it and closes both; nothing of them stays. */
export async function lookAt(test: Test, url: string): Promise<DrawnPage> {
  const folder = mkdtempSync(join(tmpdir(), 'slackwater-test-chromium-'));
  test.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const browser = await chromium.launchPersistentContext(join(folder, 'profile'), {
    ...(chromiumPath === undefined ? {} : { executablePath: chromiumPath }),
    args: FLAGS,
    // What it makes beside its profile, it leaves.
    env: { ...process.env, TMPDIR: folder },
    viewport: { width: 1280, height: 900 },
  });
  try {
    const page = browser.pages()[0] ?? (await browser.newPage());
    const errors: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(url, { waitUntil: 'load' });
    const drawn: Pick<DrawnPage, 'figures' | 'emptyFigures'> = await page.evaluate(LOOK);
    return { errors, requests, ...drawn };
  } finally {
    await browser.close();
  }
}
