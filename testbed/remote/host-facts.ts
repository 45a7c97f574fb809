// SPDX-License-Identifier: Apache-2.0
// What a host is and has, asked without changing anything there; and what of it keeps an experiment from being carried out.

import { SHAPER_HANDLE } from './guest-nic.ts';
import { HOST_FOLDER } from './keeper.ts';
import type { RemoteHost } from './remote-host.ts';

/** What a host is for. */
export interface HostRole {
  readonly role: 'source' | 'destination' | 'client';
  readonly ssh: string;
  /** That it must have; a hypervisor on its NIC, or the rate of that would be none of the migration's. */
  readonly address: string;
  /** Absent: no guest runs there. */
  readonly hypervisor?: { readonly nic: string; readonly qemu: string };
}

export interface HostFacts {
  readonly isRoot: boolean;
  readonly architecture: string;
  readonly cpu: string | null;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly distribution: string | null;
  readonly kernel: string;
  /** The first line that QEMU says of its version; null: it cannot be run. */
  readonly qemu: string | null;
  /** Whether /dev/kvm can be opened. */
  readonly hasKvmDevice: boolean;
  readonly hasAddress: boolean;
  readonly missingTools: readonly string[];
  readonly hasNanoseconds: boolean;
  /** Who uses the host; null: nobody. */
  readonly inUseBy: string | null;
  /** Null: there is no such NIC. */
  readonly nic: {
    /** The kernel's word. */
    readonly state: string;
    /** The bridge or bond that it is part of. */
    readonly master: string | null;
    /** As `tc` shows them. */
    readonly qdiscs: readonly string[];
  } | null;
}

const TOOLS = ['flock', 'ip', 'setsid', 'sha256sum', 'tail'];
const HYPERVISOR_TOOLS = ['iperf3', 'mknod', 'tc'];

// The kernel's own have no handle of their own; ours go when the host is claimed.
const KNOWN_QDISC = new RegExp(`^qdisc \\S+ (?:0:|${SHAPER_HANDLE}|\\S+ parent ${SHAPER_HANDLE})`);

// Arguments: folder of the keeper, address, NIC and QEMU ("-": none), tools.
const LOOK = `
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
fact() { printf 'fact %s %s\\n' "$1" "$2"; }
folder=$1 address=$2 nic=$3 qemu=$4
shift 4
fact uid "$(id -u)"
fact architecture "$(uname -m)"
fact kernel "$(uname -r)"
fact cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
fact cores "$(grep -c '^processor' /proc/cpuinfo)"
fact memoryKib "$(sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo)"
fact distribution "$(sed -n 's/^PRETTY_NAME="\\{0,1\\}\\([^"]*\\).*/\\1/p' /etc/os-release)"
fact nanoseconds "$(date +%s%N)"
for tool in "$@"; do command -v "$tool" >/dev/null || fact missing "$tool"; done
addresses() { if [ "$nic" = - ]; then ip -o address show; else ip -o address show dev "$nic"; fi; }
addresses 2>/dev/null | grep -qF " $address/" && fact address yes
if [ -d "$folder" ] && ! flock -n "$folder" true; then fact inUse "$(cat "$folder/owner")"; fi
if [ "$qemu" != - ]; then
  fact qemu "$("$qemu" --version 2>/dev/null | head -n 1)"
  [ -r /dev/kvm ] && [ -w /dev/kvm ] && fact kvm yes
fi
if [ -e "/sys/class/net/$nic" ]; then
  fact nic "$(cat "/sys/class/net/$nic/operstate")"
  [ ! -e "/sys/class/net/$nic/master" ] || fact master "$(basename "$(readlink "/sys/class/net/$nic/master")")"
  tc qdisc show dev "$nic" 2>/dev/null | while IFS= read -r line; do fact qdisc "$line"; done
fi
true
`;

/** Asks a host. @throws HostUnusableError, RemoteCommandError */
export async function readHostFacts(
  host: RemoteHost,
  { address, hypervisor }: HostRole,
  signal?: AbortSignal,
): Promise<HostFacts> {
  const tools = hypervisor === undefined ? TOOLS : [...TOOLS, ...HYPERVISOR_TOOLS];
  const { nic = '-', qemu = '-' } = hypervisor ?? {};
  const args = [HOST_FOLDER, address, nic, qemu, ...tools];
  return parseHostFacts(await host.run(['sh', '-c', LOOK, 'sh', ...args], { signal }));
}

/** Lines "fact NAME VALUE"; others are a login shell's own. */
export function parseHostFacts(text: string): HostFacts {
  const facts = [...text.matchAll(/^fact (\w+) (.*)$/gm)].map(([, name, value = '']) => ({ name, value }));
  const all = (name: string): string[] =>
    facts.filter((fact) => fact.name === name).map(({ value }) => value.trim());
  const one = (name: string): string | null => all(name).find((value) => value !== '') ?? null;
  const state = one('nic');
  return {
    isRoot: one('uid') === '0',
    architecture: one('architecture') ?? 'unknown',
    cpu: one('cpu'),
    cores: Number(one('cores')),
    memoryBytes: Number(one('memoryKib')) * 1024,
    distribution: one('distribution'),
    kernel: one('kernel') ?? 'unknown',
    qemu: one('qemu'),
    hasKvmDevice: one('kvm') === 'yes',
    hasAddress: one('address') === 'yes',
    missingTools: all('missing'),
    hasNanoseconds: /^\d{19}$/.test(one('nanoseconds') ?? ''),
    inUseBy: one('inUse'),
    nic: state === null ? null : { state, master: one('master'), qdiscs: all('qdisc') },
  };
}

/** Why a host cannot be used, a sentence each; none: it can. What an earlier experiment of ours left is no reason. */
export function hostProblems({ address, hypervisor }: HostRole, facts: HostFacts): string[] {
  const problems: string[] = [];
  const want = (isGiven: boolean, wanted: string, got: string): void => {
    if (!isGiven) problems.push(`wanted ${wanted}, got ${got}`);
  };
  want(facts.isRoot, 'root', 'another user (ssh root@HOST)');
  want(facts.architecture === 'x86_64', 'x86_64', facts.architecture);
  want(facts.missingTools.length === 0, 'all tools', `no ${facts.missingTools.join(', ')}`);
  want(facts.hasNanoseconds, 'a date that knows %N', 'another (install coreutils)');
  const where = hypervisor === undefined ? '' : ` on ${hypervisor.nic}`;
  want(facts.hasAddress, `the address ${address}${where}`, 'a host without it');
  want(facts.inUseBy === null, 'a host that nobody uses', `one in use by ${facts.inUseBy ?? ''}`);
  if (hypervisor === undefined) return problems;
  want(facts.qemu !== null, `a QEMU at ${hypervisor.qemu}`, 'none that runs');
  if (facts.nic === null) return [...problems, `wanted the NIC ${hypervisor.nic}, got none of that name`];
  const { state, master, qdiscs } = facts.nic;
  // Devices without a link to speak of say "unknown".
  want(state === 'up' || state === 'unknown', `the NIC ${hypervisor.nic} up`, `it ${state}`);
  want(
    master === null,
    `the NIC ${hypervisor.nic} by itself`,
    `it as a part of ${master ?? ''} (name that one)`,
  );
  const foreign = qdiscs.filter((line) => !KNOWN_QDISC.test(line));
  want(
    foreign.length === 0,
    `a NIC ${hypervisor.nic} without traffic control`,
    `one with ${foreign.join('; ')} (tc qdisc delete dev ${hypervisor.nic} root)`,
  );
  return problems;
}
