// SPDX-License-Identifier: Apache-2.0
// What one QEMU offers a controller, asked of itself: by introspection, never by its version. Changes nothing.

import { hasPageLevers, readCapabilities } from '../act/index.ts';
import { canSampleDirtyPages } from '../observe/index.ts';
import type { QmpSchema } from '../qmp/index.ts';
import { type EndpointOptions, openEndpoint, QUERY_TIMEOUT_MS, versionText } from './endpoint.ts';

export interface OfferedFeature {
  readonly name: string;
  readonly offered: boolean;
  /** What it is good for. */
  readonly whatFor: string;
}

export interface QemuOffer {
  readonly address: string;
  readonly version: string;
  readonly accelerator: 'kvm' | 'tcg';
  /** Has all of the project's patch series. */
  readonly patched: boolean;
  readonly features: readonly OfferedFeature[];
}

const LEVERS: Readonly<Record<string, string>> = {
  'x-slackwater-observe': 'each sync of the dirty bitmap told, page by page',
  'x-slackwater-track': 'the working set known before the migration',
  'x-slackwater-hold': 'the switchover held and released by us',
  'x-slackwater-defer': 'hot pages left out of pre-copy',
  'x-slackwater-pack': 'the pages first that the guest touches first',
};

function features(schema: QmpSchema, capabilities: ReadonlyMap<string, boolean>): OfferedFeature[] {
  const capability = (name: string, whatFor: string): OfferedFeature => ({
    name,
    offered: capabilities.has(name),
    whatFor,
  });
  const parameter = 'avail-switchover-bandwidth';
  return [
    capability('postcopy-ram', 'post-copy'),
    capability('postcopy-preempt', 'page requests on a channel of their own'),
    capability('return-path', 'a destination that fails to load is noticed'),
    {
      name: parameter,
      offered: schema.commandHasArgument('migrate-set-parameters', parameter),
      whatFor: 'the switchover judged by our bandwidth',
    },
    {
      name: 'calc-dirty-rate',
      offered: canSampleDirtyPages(schema),
      whatFor: 'the dirtying curve sampled over milliseconds',
    },
    ...Object.entries(LEVERS).map(([name, whatFor]) => ({
      name,
      offered: schema.hasCommand(name),
      whatFor,
    })),
  ];
}

/** @throws QmpError where nobody answers at the address */
export async function readOffer(address: string, options: EndpointOptions): Promise<QemuOffer> {
  const { client, version, kvm } = await openEndpoint('source', address, options);
  try {
    const [schema, capabilities] = await Promise.all([
      client.readSchema({ timeoutMs: QUERY_TIMEOUT_MS }),
      readCapabilities(client),
    ]);
    return {
      address,
      version: versionText(version),
      accelerator: kvm ? 'kvm' : 'tcg',
      patched: hasPageLevers(schema),
      features: features(schema, capabilities),
    };
  } finally {
    await client.close();
  }
}
