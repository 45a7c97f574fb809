// SPDX-License-Identifier: Apache-2.0
export * from './clock.ts';
export * from './errors.ts';
export { groupBy } from './group-by.ts';
export { once } from './once.ts';
export { type Random, seededRandom } from './random.ts';
export type { SocketAccess, TcpPath } from './socket-access.ts';
export { inLoginTurn } from './ssh-login.ts';
export * from './units.ts';
export { packageRoot, packageVersion } from './package.ts';
export * from './yaml/index.ts';
