// SPDX-License-Identifier: Apache-2.0
// The page's style sheet: one column, light, dark and paper. Figures take their colours from the same variables.

import { SERIES_COLOURS } from './figures/palette.ts';

function seriesColours(scheme: 0 | 1): string {
  return SERIES_COLOURS.map((colours, index) => `--c${index}:${colours[scheme]};`).join('');
}

const LIGHT = `color-scheme:light;--paper:#ffffff;--raised:#f5f7f9;--ink:#1a2230;--muted:#5a6675;--grid:#e3e8ed;
--rule:#c9d1da;--good:#00704f;--good-soft:#e2f3ec;--bad:#b3261e;--bad-soft:#fbe6e4;--open:#5a6675;--open-soft:#eceff3;
--silence:#d1495b;--postcopy:#7a4fc4;${seriesColours(0)}`;

const DARK = `color-scheme:dark;--paper:#12171e;--raised:#1b222c;--ink:#e6ebf1;--muted:#9ba7b5;--grid:#29323d;
--rule:#3d4957;--good:#4cc69a;--good-soft:#15332a;--bad:#ff8a80;--bad-soft:#41201f;--open:#9ba7b5;--open-soft:#252e39;
--silence:#ff7a8a;--postcopy:#b79cf0;${seriesColours(1)}`;

const PAGE = `
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1200px;margin:0 auto;padding:32px 32px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 6px}
h2{font-size:20px;margin:44px 0 6px;padding-top:14px;border-top:1px solid var(--rule)}
h3{font-size:15px;margin:22px 0 6px}
p{margin:6px 0 12px;max-width:100ch}
.lead{font-size:16px}
.muted{color:var(--muted)}
.bad{color:var(--bad)}
.nowrap{white-space:nowrap}
dl.conditions{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:3px 18px;margin:10px 0;font-size:14px}
dl.conditions dt{color:var(--muted)}
dl.conditions dd{margin:0;overflow-wrap:anywhere}
pre{background:var(--raised);border:1px solid var(--grid);border-radius:6px;padding:10px 12px;overflow-x:auto;
font-size:12.5px;white-space:pre-wrap;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:12.5px;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:5px 5px;text-align:right;vertical-align:top;border-bottom:1px solid var(--grid)}
th:first-child,td:first-child{text-align:left}
thead th{font-weight:600;vertical-align:bottom;border-bottom:1px solid var(--rule);line-height:1.3}
tbody th[scope=rowgroup] .muted{font-weight:400;font-size:12.5px}
tbody th[scope=rowgroup]{text-align:left;font-size:14px;padding:18px 5px 5px;border-bottom:1px solid var(--rule)}
tbody th[scope=row]{font-weight:400;overflow-wrap:anywhere;min-width:110px}
td{white-space:nowrap}td small,th small{display:block;color:var(--muted);font-size:11px;font-weight:400}
td small.wrap{white-space:normal;min-width:84px}
td small.bad{color:var(--bad)}
td.best{font-weight:700}
tr.ours{background:var(--raised)}
tr.ours th[scope=row]{font-weight:700;box-shadow:inset 3px 0 0 var(--c0)}
ul.verdicts{list-style:none;margin:6px 0 18px;padding:0}
ul.verdicts li{display:grid;grid-template-columns:130px minmax(120px,190px) minmax(0,1fr);gap:4px 14px;align-items:baseline;
padding:6px 10px;border-bottom:1px solid var(--grid);font-size:14px}
ul.verdicts li.red{background:var(--bad-soft)}
.state{font-weight:700;font-size:13px}
.state.green{color:var(--good)}.state.red{color:var(--bad)}.state.open{color:var(--open)}
.score{display:flex;flex-wrap:wrap;gap:10px;margin:10px 0 4px;padding:0;list-style:none}
.score li{padding:4px 12px;border-radius:14px;font-weight:600;font-size:14px}
.score .green{background:var(--good-soft);color:var(--good)}
.score .red{background:var(--bad-soft);color:var(--bad)}
.score .open{background:var(--open-soft);color:var(--open)}
.alarm{background:var(--bad-soft);color:var(--bad);padding:8px 12px;border-radius:6px;font-weight:600;max-width:none}
figure{margin:14px 0 26px}
figcaption{font-size:13.5px;color:var(--muted);max-width:100ch}
figcaption strong{color:var(--ink)}
.pair{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:18px 16px}
.pair figure{margin:0}
svg{display:block;max-width:100%;height:auto}
ol.decisions{margin:4px 0 0;padding-left:26px;font-size:13px;max-width:110ch}
ol.decisions li{margin:2px 0}
@media screen and (max-width:900px){main{padding:18px 14px 40px}.pair{grid-template-columns:minmax(0,1fr)}
ul.verdicts li{grid-template-columns:minmax(0,1fr)}}
`;

const FIGURES = `
svg text{fill:var(--ink);font-size:13px;paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}
svg .small{font-size:11.5px}svg .muted{fill:var(--muted)}svg .bad{fill:var(--bad)}
svg .strong{font-weight:600}svg .title{font-size:15px;font-weight:600}
svg .grid{stroke:var(--grid);stroke-width:1}svg .axis{stroke:var(--rule);stroke-width:1}
svg .floor{stroke:var(--ink);stroke-width:1.3;stroke-dasharray:3 3}
svg .bar{fill-opacity:.32;stroke-width:1}
svg .point{stroke:var(--paper);stroke-width:.8}
svg .whisker{stroke:var(--ink);stroke-width:1.6}
svg .hatch{stroke:var(--bad);stroke-width:2.2;stroke-opacity:.55}
svg .unfinished{stroke:var(--bad);stroke-width:1;stroke-opacity:.6}
svg .plate{fill:var(--paper);fill-opacity:.92}
svg .curve{fill:none;stroke-linejoin:round}
svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}svg .area{stroke:none;fill-opacity:.16}
svg .line.remaining{stroke:var(--c0)}svg .area.remaining{fill:var(--c0)}
svg .line.bandwidth{stroke:var(--c5)}svg .area.bandwidth{fill:var(--c5)}
svg .line.work{stroke:var(--c2)}svg .area.work{fill:var(--c2)}
svg .line.forecast{stroke:var(--c4)}svg .band{fill:var(--c4);fill-opacity:.26}
svg .actual{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:5 4}
svg .round{stroke:var(--muted);stroke-width:1;stroke-opacity:.55}
svg .silence{fill:var(--silence);fill-opacity:.3}
svg .postcopy{fill:var(--postcopy);fill-opacity:.09}
svg .guide{stroke:var(--ink);stroke-width:1;stroke-dasharray:1 3}
svg .badge{fill:var(--ink)}svg .badge-text{fill:var(--paper);font-size:10.5px;font-weight:700;stroke:none}
.key{display:inline-block;width:14px;height:10px;border-radius:2px;margin:0 4px 0 10px;vertical-align:baseline}
.key.silence{background:var(--silence);opacity:.4}.key.postcopy{background:var(--postcopy);opacity:.3}
`;

const PRINT = `
@page{size:A4 landscape;margin:12mm}
@media print{:root{${LIGHT}}body{font-size:10pt}main{max-width:none;padding:0}
table{font-size:7.6pt}td small,th small{font-size:6.8pt}th,td{padding:2.5px 4px}.scroll{overflow:visible}
figure,tr,li{break-inside:avoid}h2,h3,h2+p,tbody tr:first-child{break-after:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
`;

export const STYLE_SHEET = `:root{${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}${PAGE}${FIGURES}${PRINT}`;
