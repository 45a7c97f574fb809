// SPDX-License-Identifier: Apache-2.0
export {
  deadlinesOf,
  floorKeptRatio,
  linkUseRatio,
  type OfferSteps,
  weightedCompletionMs,
} from './figures.ts';
export { trafficHtml, type TrafficPage, typicalRun } from './html.ts';
export { trafficMarkdown } from './markdown.ts';
export { type TrafficRow, trafficRows, usedRecords } from './rows.ts';
