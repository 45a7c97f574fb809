// SPDX-License-Identifier: Apache-2.0
// Free page reporting: the kernel of a virtual machine tells its host which memory lies free, and the host takes it back two
// seconds later (Linux, mm/page_reporting.c). A destination QEMU then pays for every page that arrives, the more the later it is
// used: on the reference machine a full guest of 512 MiB took 5.1 to 5.3 s over 1 Gbit/s, 5.4 to 5.5 s begun 1.5 s later, and with
// reporting off 4.9 s (some runs each, off one).

import { readFileSync } from 'node:fs';

const ORDER = '/sys/module/page_reporting/parameters/page_reporting_order';
/** The largest order of a free block (MAX_PAGE_ORDER with 4 KiB pages): beyond it nothing is ever reported. */
const LARGEST_ORDER = 10;

export type PageReporting = 'on' | 'off';

/** Out of the parameter's text; null where it is none that is known. */
export function parsePageReporting(orderText: string): PageReporting | null {
  if (!/^\d+\s*$/.test(orderText)) return null;
  return Number(orderText) <= LARGEST_ORDER ? 'on' : 'off';
}

/** Of this machine; null where the kernel has none of it. */
export function readPageReporting(): PageReporting | null {
  try {
    return parsePageReporting(readFileSync(ORDER, 'utf8'));
  } catch {
    return null;
  }
}

/** What is said before an experiment that it would distort. */
export const PAGE_REPORTING_WARNING =
  `this machine reports its free pages, and its host takes them back within seconds: a destination's memory costs more ` +
  `the longer the run waits before. Switch it off while measuring (echo ${LARGEST_ORDER + 1} > ${ORDER}), and back afterwards`;
