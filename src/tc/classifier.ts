// SPDX-License-Identifier: Apache-2.0
// Which packets belong to a class, as classic BPF over an Ethernet frame. Classic BPF and not u32 or fw, for it does the same
// on every kernel that has it; and still each classifier is proven before it is relied on (prove.ts).

import { checkPort, macOctets } from './names.ts';

/** A frame is matched by one of these. Ports are those of TCP and UDP over IPv4 and IPv6 (without extension headers). */
export type Match =
  | { readonly kind: 'port'; readonly side: 'source' | 'destination'; readonly port: number }
  | { readonly kind: 'ports'; readonly source: number; readonly destination: number }
  | { readonly kind: 'mac'; readonly side: 'source' | 'destination'; readonly mac: string };

/** One instruction: code, jump if true, jump if false (both relative), operand. */
type Instruction = readonly [code: number, jt: number, jf: number, k: number];

const LD_B_ABS = 0x30;
const LD_H_ABS = 0x28;
const LD_W_ABS = 0x20;
const LDX_MSH = 0xb1;
const LD_H_IND = 0x48;
const JEQ = 0x15;
const JSET = 0x45;
const RET = 0x06;

const ETHERNET = 14;
const IPV6_HEADER = 40;
/** The class that the filter names. */
const MATCHED = 0xffffffff;
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;

/** A test: the instructions that load, and what the accumulator has to be (`not`: must have none of these bits). */
interface Test {
  readonly load: readonly Instruction[];
  readonly equals?: number;
  readonly not?: number;
}

/** Straight on while every test holds, else to the end with "no match". */
function allOf(tests: readonly Test[]): Instruction[] {
  const program: Instruction[] = [];
  const lengths = tests.map(({ load }) => load.length + 1);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  for (const { load, equals, not } of tests) {
    program.push(...load);
    // Relative to the next instruction; behind the last one stand "match" and "no match".
    const toNoMatch = total - program.length;
    program.push(equals === undefined ? [JSET, toNoMatch, 0, not ?? 0] : [JEQ, 0, toNoMatch, equals]);
  }
  return [...program, [RET, 0, 0, MATCHED], [RET, 0, 0, 0]];
}

const halfAt = (offset: number): readonly Instruction[] => [[LD_H_ABS, 0, 0, offset]];
const byteAt = (offset: number): readonly Instruction[] => [[LD_B_ABS, 0, 0, offset]];
const wordAt = (offset: number): readonly Instruction[] => [[LD_W_ABS, 0, 0, offset]];

function portTests(
  match: Extract<Match, { kind: 'port' | 'ports' }>,
): readonly [offset: number, port: number][] {
  if (match.kind === 'port') {
    return [[match.side === 'source' ? SOURCE_PORT : DESTINATION_PORT, checkPort(match.port)]];
  }
  return [
    [SOURCE_PORT, checkPort(match.source)],
    [DESTINATION_PORT, checkPort(match.destination)],
  ];
}

/** One program for each IP version and transport: a filter takes as many as it needs. */
export function programsOf(match: Match): string[] {
  if (match.kind === 'mac') {
    const octets = macOctets(match.mac);
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = octets;
    const offset = match.side === 'destination' ? 0 : 6;
    const high = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    return [
      spell(
        allOf([
          { load: wordAt(offset), equals: high },
          { load: halfAt(offset + 4), equals: (e << 8) | f },
        ]),
      ),
    ];
  }
  const ports = portTests(match);
  return [6, 17].flatMap((protocol) => [
    spell(
      allOf([
        { load: halfAt(12), equals: 0x0800 },
        { load: byteAt(ETHERNET + 9), equals: protocol },
        // A fragment that is not the first has no ports.
        { load: halfAt(ETHERNET + 6), not: 0x1fff },
        ...ports.map(([offset, port]) => ({
          load: [
            [LDX_MSH, 0, 0, ETHERNET],
            [LD_H_IND, 0, 0, ETHERNET + offset],
          ] as const,
          equals: port,
        })),
      ]),
    ),
    spell(
      allOf([
        { load: halfAt(12), equals: 0x86dd },
        { load: byteAt(ETHERNET + 6), equals: protocol },
        ...ports.map(([offset, port]) => ({
          load: halfAt(ETHERNET + IPV6_HEADER + offset),
          equals: port,
        })),
      ]),
    ),
  ]);
}

/** As tc reads it: the number of instructions, then each with spaces, commas between them. */
function spell(program: readonly Instruction[]): string {
  return [`${program.length}`, ...program.map((instruction) => instruction.join(' '))].join(',');
}

/** What a program says of a frame: whether it matches. A plain interpreter, so that a classifier can be tried without a kernel. */
export function matches(bytecode: string, frame: Uint8Array): boolean {
  const [, ...program] = bytecode.split(',').map((part) => part.split(' ').map(Number));
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let [a, x] = [0, 0];
  for (let pc = 0; pc < program.length; pc++) {
    const [code, jt = 0, jf = 0, k = 0] = program[pc] ?? [];
    const at = code === LD_H_IND ? k + x : k;
    const size = code === LD_W_ABS ? 4 : code === LD_B_ABS || code === LDX_MSH ? 1 : 2;
    switch (code) {
      case LD_B_ABS:
      case LD_H_ABS:
      case LD_W_ABS:
      case LD_H_IND:
      case LDX_MSH:
        // A load beyond the frame ends the program without a match.
        if (at + size > frame.length) return false;
        if (code === LDX_MSH) x = 4 * (view.getUint8(at) & 0xf);
        else a = size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getUint32(at);
        break;
      case JEQ:
        pc += a === k ? jt : jf;
        break;
      case JSET:
        pc += (a & k) !== 0 ? jt : jf;
        break;
      case RET:
        return k !== 0;
      default:
        return false;
    }
  }
  return false;
}
