// SPDX-License-Identifier: Apache-2.0
// The front door of the QMP client, public as `slackwater/qmp`. It speaks QMP and knows nothing of migration.

export { formatQmpAddress, parseQmpAddress } from './address.ts';
export type { QmpAddress } from './address.ts';
export { QmpClient } from './client.ts';
export type {
  QmpArguments,
  QmpCommandName,
  QmpEvent,
  QmpEventName,
  QmpExecuteRest,
  QmpReturn,
} from './client.ts';
export { MAX_IN_BAND_IN_FLIGHT } from './command-table.ts';
export type { QmpCommandOptions } from './command-table.ts';
export { connectQmp, connectQmpOver } from './connect.ts';
export type { QmpConnectOptions, QmpSessionOptions } from './connect.ts';
export * from './errors.ts';
export type { QmpEventOptions, QmpEventStream, QmpRawEvent } from './event-hub.ts';
export type * from './generated/schema.ts';
export { QMP_TYPES_VERSION } from './generated/schema.ts';
export { isQmpObject, parseJsonLossless, stringifyJsonLossless } from './json.ts';
export type { QmpObject, QmpValue } from './json.ts';
export type { QmpGreeting } from './message.ts';
export { QmpSchema } from './schema.ts';
export type { QmpClosed, QmpStats } from './session-types.ts';
export type { QmpTransport, QmpTransportHandlers } from './transport.ts';
