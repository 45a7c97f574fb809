// SPDX-License-Identifier: Apache-2.0
// What the testbed needs of the kernel, each found out by doing it in a scratch network namespace.

import { existsSync } from 'node:fs';
import { messageOf } from '../../common/index.ts';
import { HERE, loadIfb } from '../../tc/index.ts';
import type { Check } from './checks.ts';
import type { Finding, ProgramResult, ScratchNamespace } from './probe.ts';
import { openScratchNamespace, runProgram } from './probe.ts';

const KERNEL_REMEDY = 'a kernel with this option, or its module loaded';

/** Runs commands in a fresh namespace until one fails; the last word decides. */
async function tryInScratch(
  commands: readonly (readonly [program: string, ...args: string[]])[],
): Promise<Finding> {
  let scratch: ScratchNamespace;
  try {
    scratch = await openScratchNamespace();
  } catch (error) {
    return { ok: undefined, found: `no scratch network namespace to try it in: ${messageOf(error)}` };
  }
  try {
    for (const [program, ...args] of commands) {
      const result: ProgramResult = await scratch.run(program, ...args);
      if (result.complaint.startsWith('nsenter: failed to execute')) {
        return { ok: undefined, found: `cannot be tried without ${program}` };
      }
      if (!result.ok) return { ok: false, found: result.complaint };
    }
    return { ok: true, found: 'works' };
  } finally {
    await scratch.close();
  }
}

const ADD_VETH = ['ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'] as const;
const ADD_IFB = ['ip', 'link', 'add', 'i0', 'type', 'ifb'] as const;

async function probeNamespaces(): Promise<Finding> {
  try {
    await (await openScratchNamespace()).close();
    return { ok: true, found: 'work' };
  } catch (error) {
    return { ok: false, found: messageOf(error) };
  }
}

async function probeTap(): Promise<Finding> {
  if (!existsSync('/dev/net/tun')) return { ok: false, found: 'no /dev/net/tun' };
  return await tryInScratch([['ip', 'tuntap', 'add', 'dev', 't0', 'mode', 'tap']]);
}

async function probeHtb(): Promise<Finding> {
  return await tryInScratch([
    ADD_VETH,
    ['tc', 'qdisc', 'add', 'dev', 'v0', 'root', 'handle', '1:', 'htb', 'default', '1'],
    [
      'tc',
      'class',
      'add',
      'dev',
      'v0',
      'parent',
      '1:',
      'classid',
      '1:1',
      'htb',
      'rate',
      '1gbit',
      'quantum',
      '60000',
    ],
    ['tc', 'qdisc', 'add', 'dev', 'v0', 'parent', '1:1', 'bfifo', 'limit', '262144'],
  ]);
}

async function probeRedirect(): Promise<Finding> {
  const filter =
    'parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev i0'.split(' ');
  await loadIfb(HERE);
  return await tryInScratch([
    ADD_VETH,
    ADD_IFB,
    ['tc', 'qdisc', 'add', 'dev', 'v0', 'handle', 'ffff:', 'ingress'],
    ['tc', 'filter', 'add', 'dev', 'v0', ...filter],
  ]);
}

async function probeClassifier(): Promise<Finding> {
  const filter = 'parent 1: protocol all prio 1 bpf bytecode'.split(' ');
  return await tryInScratch([
    ADD_VETH,
    ['tc', 'qdisc', 'add', 'dev', 'v0', 'root', 'handle', '1:', 'htb', 'default', '1'],
    ['tc', 'class', 'add', 'dev', 'v0', 'parent', '1:', 'classid', '1:1', 'htb', 'rate', '1gbit'],
    // A program of one instruction: everything matches.
    ['tc', 'filter', 'add', 'dev', 'v0', ...filter, '1,6 0 0 4294967295', 'flowid', '1:1'],
  ]);
}

async function probeCounters(): Promise<Finding> {
  const hook = '{ type filter hook forward priority 0 ; }';
  return await tryInScratch([
    ['nft', 'add', 'table', 'bridge', 'probe'],
    ['nft', 'add', 'counter', 'bridge', 'probe', 'seen'],
    ['nft', 'add', 'chain', 'bridge', 'probe', 'forward', hook],
    ['nft', 'add', 'rule', 'bridge', 'probe', 'forward', 'counter', 'name', 'seen'],
  ]);
}

/** Asks QEMU itself, as the destination of a migration, whether it could take part in post-copy here. */
async function probeUserfaultfd(): Promise<Finding> {
  const commands = [
    { execute: 'qmp_capabilities' },
    {
      execute: 'migrate-set-capabilities',
      arguments: { capabilities: [{ capability: 'postcopy-ram', state: true }] },
    },
    { execute: 'quit' },
  ];
  const { ok, stdout, complaint } = await runProgram(
    'qemu-system-x86_64',
    [
      '-machine',
      'none',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-incoming',
      'defer',
      '-qmp',
      'stdio',
    ],
    commands.map((command) => `${JSON.stringify(command)}\n`).join(''),
  );
  if (!ok) return { ok: undefined, found: `QEMU cannot be asked: ${complaint}` };
  const refusal = /"desc": "([^"]*)"/.exec(stdout)?.[1];
  return refusal === undefined
    ? { ok: true, found: 'QEMU accepts post-copy as a destination' }
    : { ok: false, found: `QEMU says: ${refusal}` };
}

export const KERNEL_CHECKS: readonly Check[] = [
  {
    name: 'network namespaces',
    whatFor: 'the hosts of the testbed',
    remedy: `root, and ${KERNEL_REMEDY} (CONFIG_NET_NS)`,
    probe: probeNamespaces,
  },
  {
    name: 'veth',
    whatFor: 'the cables of the testbed',
    remedy: `${KERNEL_REMEDY} (CONFIG_VETH)`,
    probe: () => tryInScratch([ADD_VETH]),
  },
  {
    name: 'bridge',
    whatFor: 'the switch of the testbed',
    remedy: `${KERNEL_REMEDY} (CONFIG_BRIDGE)`,
    probe: () => tryInScratch([['ip', 'link', 'add', 'b0', 'type', 'bridge']]),
  },
  {
    name: 'tap',
    whatFor: "the guest's NIC",
    remedy: `/dev/net/tun, and ${KERNEL_REMEDY} (CONFIG_TUN)`,
    probe: probeTap,
  },
  {
    name: 'HTB',
    whatFor: 'the rate of a link',
    remedy: `${KERNEL_REMEDY} (CONFIG_NET_SCH_HTB, CONFIG_NET_SCH_FIFO)`,
    probe: probeHtb,
  },
  {
    name: 'BPF classifier',
    whatFor:
      'telling migrations from other traffic (slackwater gang; without it QEMU limits its bandwidth itself)',
    remedy: `${KERNEL_REMEDY} (CONFIG_NET_CLS_BPF)`,
    probe: probeClassifier,
  },
  {
    name: 'nftables counters',
    whatFor: 'who uses a NIC (slackwater gang)',
    remedy: `apt-get install nftables, and ${KERNEL_REMEDY} (CONFIG_NF_TABLES_BRIDGE)`,
    probe: probeCounters,
  },
  {
    name: 'IFB',
    whatFor: "a link's rate from host to switch",
    remedy: `${KERNEL_REMEDY} (CONFIG_IFB)`,
    probe: () => tryInScratch([ADD_IFB]),
  },
  {
    name: 'u32 and mirred',
    whatFor: "a link's rate from host to switch",
    remedy: `${KERNEL_REMEDY} (CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32, CONFIG_NET_ACT_MIRRED)`,
    probe: probeRedirect,
  },
  {
    name: 'userfaultfd',
    whatFor: 'post-copy: the guest runs on the destination before its memory is there',
    remedy: `QEMU run as root or /dev/userfaultfd open to it, and ${KERNEL_REMEDY} (CONFIG_USERFAULTFD)`,
    probe: probeUserfaultfd,
  },
].map((check) => ({ ...check, neededFor: 'testbed' as const }));
