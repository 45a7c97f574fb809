// SPDX-License-Identifier: Apache-2.0
// A page that needs nothing else: no network, no script, no font.

import { STYLE_SHEET } from './html-style.ts';
import { type Child, el, fragment, Markup } from './markup.ts';

export function htmlPage(title: string, ...children: readonly Child[]): string {
  const page = el(
    'html',
    { lang: 'en' },
    el(
      'head',
      {},
      el('meta', { charset: 'utf-8' }),
      el('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
      // Nothing may be loaded or run, whatever might have come into the page.
      el('meta', {
        'http-equiv': 'Content-Security-Policy',
        content: "default-src 'none'; style-src 'unsafe-inline'",
      }),
      el('meta', { name: 'generator', content: 'slackwater' }),
      el('title', {}, title),
      el('style', {}, Markup.fromProgram(STYLE_SHEET)),
    ),
    el('body', {}, el('main', {}, ...children)),
  );
  return `<!DOCTYPE html>\n${fragment(page).text}\n`;
}
