// SPDX-License-Identifier: Apache-2.0
// Experiments on real machines, which are reached by the system's OpenSSH client.

export { HostUnusableError, RemoteCommandError } from './host-errors.ts';
export type { HostFacts } from './host-facts.ts';
export { inspectHosts, type InspectedHosts } from './hosts.ts';
export { reapHost } from './keeper.ts';
export { RemoteHost } from './remote-host.ts';
export { openRemoteLaboratory, type RemoteLaboratory } from './remote-laboratory.ts';
export { RemoteStage, type RemoteStageOptions } from './remote-stage.ts';
