// SPDX-License-Identifier: Apache-2.0
export type { Against } from './against.ts';
export type { Cell, Regret, Setting } from './cells.ts';
export { type Claim, CLAIMS, type Reason } from './claims.ts';
export type { Change, Metric } from './change.ts';
export { compareResultSets, type Comparison } from './compare.ts';
export { COMPARE_SCHEMA, comparisonDocument, comparisonLines } from './compare-text.ts';
export { renderCsv } from './csv.ts';
export { chooseTimelineRuns } from './figures/choose-runs.ts';
export type { TimelineInput } from './figures/timeline-data.ts';
export { renderHtml } from './html.ts';
export { renderJson, REPORT_SCHEMA, reportDocument } from './json.ts';
export { renderMarkdown } from './markdown.ts';
export type { ControlNoise } from './noise.ts';
export { type Random, seededRandom } from '../common/index.ts';
export { parseReasons, REASONS_SCHEMA } from './reasons.ts';
export { buildReport, type Report } from './report.ts';
export { adaptivePolicies, type ResultSet } from './result-set.ts';
export {
  holm,
  type PairedDifference,
  pairedDifference,
  rankPermutationTest,
  signFlipTest,
} from './significance.ts';
export {
  type Interval,
  proportion,
  type Proportion,
  type Ratio,
  ratioOfMedians,
  summarize,
  type Summary,
} from './statistics.ts';
export type { Verdict } from './verdict.ts';
export * from './traffic/index.ts';
