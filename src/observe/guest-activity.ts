// SPDX-License-Identifier: Apache-2.0
// What this host tells of a guest beside its dirty pages: CPU time of its QEMU, traffic of its NICs, memory in use, pressure.
// Only of a QEMU on this host; everything is read, nothing set.

import type { Clock } from '../common/index.ts';
import type { GuestActivity } from '../model/index.ts';
import { type QmpClient, QmpCommandError } from '../qmp/index.ts';

/** A file's text, or null where it cannot be read; a folder's names likewise. */
export interface HostFiles {
  readText(path: string): string | null;
  list(path: string): readonly string[];
  /** How many of the pages at these places of a file hold nothing but zeros; null where it cannot be read. */
  countZeroPages(path: string, positions: readonly bigint[], pageBytes: number): number | null;
}

/** Linux counts CPU time in hundredths of a second, whatever it counts in itself (USER_HZ). */
const TICKS_PER_SEC = 100;

interface Totals {
  readonly atMs: number;
  readonly cpuSec: number | null;
  readonly receivedBytes: number | null;
  readonly sentBytes: number | null;
}

/** The process that a thread belongs to; null where it is not one of this host. */
export function processOfThread(files: HostFiles, threadId: number): number | null {
  const match = /^Tgid:\s*(\d+)$/m.exec(files.readText(`/proc/${threadId}/status`) ?? '');
  return match === null ? null : Number(match[1]);
}

/** utime + stime of /proc/PID/stat, whose second field may hold anything between its parentheses. */
export function parseCpuSec(stat: string): number | null {
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .trim()
    .split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isFinite(ticks) ? ticks / TICKS_PER_SEC : null;
}

/** Received and sent bytes of some devices, from /proc/PID/net/dev; null where none of them is there. */
export function parseDeviceBytes(
  text: string,
  devices: ReadonlySet<string>,
): { readonly receivedBytes: number; readonly sentBytes: number } | null {
  const found = { receivedBytes: 0, sentBytes: 0, devices: 0 };
  for (const line of text.split('\n')) {
    const [, name, rest] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || rest === undefined || !devices.has(name)) continue;
    const fields = rest.trim().split(/\s+/).map(Number);
    found.receivedBytes += fields[0] ?? 0;
    found.sentBytes += fields[8] ?? 0;
    found.devices += 1;
  }
  return found.devices === 0 ? null : found;
}

/** "some avg10=1.23 ...": the share of the last ten seconds in which somebody waited. */
export function parsePressure(text: string | null): number | null {
  const match = /^some avg10=([\d.]+)/m.exec(text ?? '');
  return match === null ? null : Number(match[1]);
}

/** Where a guest's memory is in its QEMU: the one mapping of /proc/PID/maps that has its size; null where that is not plain. */
export function findMemory(maps: string, memoryBytes: number): bigint | null {
  const found = maps.split('\n').flatMap((line) => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    if (from === undefined || to === undefined) return [];
    const [begin, end] = [BigInt(`0x${from}`), BigInt(`0x${to}`)];
    return end - begin === BigInt(memoryBytes) ? [begin] : [];
  });
  const [only] = found;
  return found.length === 1 && only !== undefined ? only : null;
}

const PAGE_BYTES = 4096;
/** So many pages tell the share to within 1.6 %, 95 times of 100. */
const ZERO_SAMPLES = 4096;

/** How much of the memory is all zero, by pages at even distances. Nothing of them is kept. Null where it cannot be read. */
function sampleZeroBytes(files: HostFiles, pid: number, memoryBytes: number): number | null {
  const begin = findMemory(files.readText(`/proc/${pid}/maps`) ?? '', memoryBytes);
  if (begin === null) return null;
  const pages = Math.floor(memoryBytes / PAGE_BYTES);
  const samples = Math.min(pages, ZERO_SAMPLES);
  const positions = Array.from(
    { length: samples },
    (_, i) => begin + BigInt(Math.floor(((i + 0.5) * pages) / samples) * PAGE_BYTES),
  );
  const zero = files.countZeroPages(`/proc/${pid}/mem`, positions, PAGE_BYTES);
  return zero === null ? null : (zero / samples) * pages * PAGE_BYTES;
}

/** Reads a guest's activity, from one call to the next. */
export class ActivityReader {
  readonly #files: HostFiles;
  readonly #clock: Clock;
  readonly #client: QmpClient;
  readonly #pid: number | null;
  readonly #devices: ReadonlySet<string>;
  readonly #balloonPath: string | null;
  readonly #memoryZeroBytes: number | null;
  #before: Totals;

  private constructor(
    files: HostFiles,
    clock: Clock,
    client: QmpClient,
    pid: number | null,
    balloonPath: string | null,
    memoryBytes: number,
  ) {
    this.#files = files;
    this.#clock = clock;
    this.#client = client;
    this.#pid = pid;
    this.#devices = new Set(pid === null ? [] : tapDevices(files, pid));
    this.#balloonPath = balloonPath;
    this.#memoryZeroBytes = pid === null ? null : sampleZeroBytes(files, pid, memoryBytes);
    this.#before = this.#totals();
  }

  /** `vcpuThreadId`: any thread of the QEMU; null: it is on another host. */
  static async open(
    files: HostFiles,
    clock: Clock,
    client: QmpClient,
    vcpuThreadId: number | null,
    memoryBytes: number,
  ): Promise<ActivityReader> {
    const pid = vcpuThreadId === null ? null : processOfThread(files, vcpuThreadId);
    return new ActivityReader(files, clock, client, pid, await findBalloon(client), memoryBytes);
  }

  #totals(): Totals {
    const pid = this.#pid;
    const stat = pid === null ? null : this.#files.readText(`/proc/${pid}/stat`);
    const net = pid === null ? null : this.#files.readText(`/proc/${pid}/net/dev`);
    const bytes = net === null ? null : parseDeviceBytes(net, this.#devices);
    return {
      atMs: this.#clock.nowMs(),
      cpuSec: stat === null ? null : parseCpuSec(stat),
      // What a tap device sends its guest receives.
      receivedBytes: bytes?.sentBytes ?? null,
      sentBytes: bytes?.receivedBytes ?? null,
    };
  }

  /** Since the last call. */
  async take(): Promise<GuestActivity> {
    const before = this.#before;
    const now = this.#totals();
    this.#before = now;
    const passedSec = (now.atMs - before.atMs) / 1000;
    const rate = (a: number | null, b: number | null): number | null =>
      a === null || b === null || passedSec <= 0 ? null : (b - a) / passedSec;
    const pressure = (what: string): number | null =>
      this.#pid === null ? null : parsePressure(this.#files.readText(`/proc/pressure/${what}`));
    return {
      cpuRatio: rate(before.cpuSec, now.cpuSec),
      receivedBytesPerSec: rate(before.receivedBytes, now.receivedBytes),
      sentBytesPerSec: rate(before.sentBytes, now.sentBytes),
      memoryInUseBytes: await this.#memoryInUse(),
      memoryZeroBytes: this.#memoryZeroBytes,
      hostCpuPressurePercent: pressure('cpu'),
      hostMemoryPressurePercent: pressure('memory'),
    };
  }

  async #memoryInUse(): Promise<number | null> {
    if (this.#balloonPath === null) return null;
    const answer = await ask(this.#client, this.#balloonPath, 'guest-stats');
    const { stats } = (answer ?? {}) as { stats?: Readonly<Record<string, number>> };
    const total = stats?.['stat-total-memory'] ?? -1;
    const available = stats?.['stat-available-memory'] ?? -1;
    // A balloon driver that was never asked to report answers with the largest number there is.
    return total > 0 && available >= 0 && available <= total ? total - available : null;
  }
}

/** The tap devices that a process has open: its descriptors say so. */
function tapDevices(files: HostFiles, pid: number): string[] {
  const folder = `/proc/${pid}/fdinfo`;
  return files.list(folder).flatMap((fd) => {
    const match = /^iff:\s*(\S+)$/m.exec(files.readText(`${folder}/${fd}`) ?? '');
    return match?.[1] === undefined ? [] : [match[1]];
  });
}

const QUERY_TIMEOUT_MS = 2000;

async function ask(client: QmpClient, path: string, property: string): Promise<unknown> {
  try {
    return await client.execute('qom-get', { path, property }, { timeoutMs: QUERY_TIMEOUT_MS });
  } catch (error) {
    if (error instanceof QmpCommandError) return null;
    throw error;
  }
}

async function findBalloon(client: QmpClient): Promise<string | null> {
  for (const root of ['/machine/peripheral', '/machine/peripheral-anon']) {
    const children = await client.execute('qom-list', { path: root }, { timeoutMs: QUERY_TIMEOUT_MS });
    const balloon = children.find(({ type }) => type.includes('virtio-balloon'));
    if (balloon !== undefined) return `${root}/${balloon.name}`;
  }
  return null;
}
