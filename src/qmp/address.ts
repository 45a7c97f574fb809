// SPDX-License-Identifier: Apache-2.0
// Where a monitor is. QMP has no authentication and whoever speaks it owns the host's QEMU process, so plain TCP is
// taken only on loopback unless the caller says that he knows.

import { isIPv4, isIPv6 } from 'node:net';
import { UsageError } from '../common/index.ts';

export type QmpAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'ssh'; readonly host: string; readonly path: string };

const FORMS = 'forms: /PATH, unix:/PATH, tcp:HOST:PORT, ssh:HOST:/PATH';

// sun_path of Linux, less its NUL.
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Reads `/PATH`, `unix:/PATH`, `tcp:HOST:PORT` (IPv6 in brackets) or `ssh:HOST:/PATH`. `insecure` permits TCP to hosts
 * other than loopback.
 * @throws UsageError naming what was got and what would do
 */
export function parseQmpAddress(text: string, options: { readonly insecure?: boolean } = {}): QmpAddress {
  if (text.startsWith('/')) return { kind: 'unix', path: socketPath(text, text) };
  const [, scheme, rest = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  switch (scheme) {
    case 'unix':
      return { kind: 'unix', path: socketPath(rest, text) };
    case 'tcp':
      return parseTcp(rest, text, options.insecure === true);
    case 'ssh':
      return parseSsh(rest, text);
    default:
      throw new UsageError(`expected the address of a QMP monitor, got "${text}"`, { remedy: FORMS });
  }
}

/** The address as text that `parseQmpAddress` reads back. */
export function formatQmpAddress(address: QmpAddress): string {
  switch (address.kind) {
    case 'unix':
      return `unix:${address.path}`;
    case 'tcp':
      return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
    case 'ssh':
      return `ssh:${address.host}:${address.path}`;
  }
}

function socketPath(path: string, text: string): string {
  if (!path.startsWith('/') || path.includes('\0')) {
    throw new UsageError(`expected the absolute path of a socket, got "${text}"`, { remedy: FORMS });
  }
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new UsageError(
      `expected a socket path of at most ${MAX_SOCKET_PATH_BYTES} bytes, got ${Buffer.byteLength(path)} in "${text}"`,
      { remedy: 'the kernel takes no longer one; give QEMU a shorter path' },
    );
  }
  return path;
}

function parseTcp(rest: string, text: string, insecure: boolean): QmpAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(rest);
  const bracketed = match?.[1];
  const host = bracketed ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw new UsageError(`expected tcp:HOST:PORT with a port of 1 to 65535, got "${text}"`, {
      remedy: FORMS,
    });
  }
  if (!insecure && !isLoopback(host)) {
    throw new UsageError(`QMP over plain TCP to ${host} is open to everyone on the network: refused`, {
      remedy: `use ssh:${host}:/path/of/the/monitor/socket`,
    });
  }
  return { kind: 'tcp', host, port };
}

/** By the text alone: a name that merely resolves to loopback today is not trusted to do so tomorrow. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

function parseSsh(rest: string, text: string): QmpAddress {
  const split = rest.indexOf(':/');
  const host = rest.slice(0, Math.max(split, 0));
  // A leading '-' would be an option of ssh's; `user@-...` would be one of a proxy command's.
  if (!/^[^\s\p{Cc}]+$/u.test(host) || host.startsWith('-') || host.includes('@-')) {
    throw new UsageError(`expected ssh:HOST:/PATH, got "${text}"`, {
      remedy: 'HOST is what you would give to ssh: a name, user@name, or a Host of ~/.ssh/config',
    });
  }
  const path = socketPath(rest.slice(split + 1), text);
  // ssh splits a forward at ':', and expands '%' and '$' in its paths.
  if (/[:%$\\\p{Cc}]/u.test(path)) {
    throw new UsageError(
      `expected a remote path without ':', '%', '$', '\\' and control characters, got "${text}"`,
    );
  }
  return { kind: 'ssh', host, path };
}
