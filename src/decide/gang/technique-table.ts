// SPDX-License-Identifier: Apache-2.0
// The technique and strategy tables of the traffic-aware migration paper, as it has them; where it leaves a row open, our fill,
// flagged. It contradicts the work that it builds on (Deshpande and Keahey): see policies.ts, complementary-direction.

import type { Priority, Technique } from '../../model/index.ts';
import type { Contention, Scenario, TrafficDirection } from './cluster.ts';

export interface TableRow {
  readonly technique: Extract<Technique, 'precopy' | 'postcopy' | 'hybrid'>;
  readonly strategy: 'serial' | 'parallel';
  /** What of the row the paper does not say. */
  readonly filled: readonly ('technique' | 'strategy')[];
}

/** Both ends go the VM's own way. */
function matchesCluster(scenario: Scenario, cluster: TrafficDirection): boolean {
  return scenario === (cluster === 'inbound' ? 'in-in' : 'out-out');
}

function techniqueOf(
  contention: Contention,
  priority: Priority,
  cluster: TrafficDirection,
  scenario: Scenario,
): Pick<TableRow, 'technique'> & { readonly isFill: boolean } {
  if (contention === 'low') return { technique: 'precopy', isFill: false };
  if (contention === 'moderate')
    return { technique: matchesCluster(scenario, cluster) ? 'precopy' : 'hybrid', isFill: false };
  if (priority === 'high') {
    const isInbound = cluster === 'inbound' && (scenario === 'in-in' || scenario === 'out-in');
    return { technique: isInbound ? 'postcopy' : 'hybrid', isFill: false };
  }
  return { technique: 'hybrid', isFill: priority === 'medium' };
}

function strategyOf(
  contention: Contention,
  priority: Priority,
): Pick<TableRow, 'strategy'> & { readonly isFill: boolean } {
  const byContention = contention === 'low' ? 'parallel' : 'serial';
  if (priority === 'high') return { strategy: 'parallel', isFill: false };
  return { strategy: byContention, isFill: priority === 'medium' };
}

/** One row of the table. */
export function tableRow(
  contention: Contention,
  priority: Priority,
  cluster: TrafficDirection,
  scenario: Scenario,
): TableRow {
  const technique = techniqueOf(contention, priority, cluster, scenario);
  const strategy = strategyOf(contention, priority);
  return {
    technique: technique.technique,
    strategy: strategy.strategy,
    filled: [
      ...(technique.isFill ? (['technique'] as const) : []),
      ...(strategy.isFill ? (['strategy'] as const) : []),
    ],
  };
}
