// SPDX-License-Identifier: Apache-2.0
// Bytes to lines to values, without loss and whatever the cuts.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { QmpProtocolError, parseJsonLossless, stringifyJsonLossless } from '../../../src/qmp/index.ts';
import type { QmpValue } from '../../../src/qmp/index.ts';
import { LineFramer } from '../../../src/qmp/framing.ts';
import { formatCommand, parseMessage } from '../../../src/qmp/message.ts';

function frame(chunks: readonly Buffer[], maxLineBytes?: number): string[] {
  const framer = new LineFramer(maxLineBytes);
  const lines: string[] = [];
  for (const chunk of chunks) framer.push(chunk, (line) => lines.push(line));
  return lines;
}

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

t.test('a stream gives the same lines however it is cut', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'binary' }).filter((line) => !/[\r\n]/.test(line))),
      fc.constantFrom('\n', '\r\n'),
      fc.array(fc.nat({ max: 400 })),
      (lines, lineEnd, cuts) => {
        const bytes = Buffer.from(lines.map((line) => line + lineEnd).join(''));
        const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        assert.deepEqual(
          frame(chunks),
          lines.map((line) => Buffer.from(line).toString()),
        );
      },
    ),
  );
  t.end();
});

t.test('the limit of a line', (t) => {
  t.same(frame([Buffer.from('12345678\n')], 8), ['12345678'], 'a line as long as the limit passes');
  const seen: string[] = [];
  const framer = new LineFramer(8);
  const error = caught(() => framer.push(Buffer.from('ok\n123456789'), (line) => seen.push(line)));
  t.type(error, QmpProtocolError);
  t.match((error as QmpProtocolError).message, /longer than the limit of 8 bytes/);
  t.same(seen, ['ok'], 'lines before it were handed on');
  t.end();
});

t.test('the raw tail of an error has at most 200 characters, and the last ones', (t) => {
  const framer = new LineFramer(1000);
  framer.push(Buffer.from('x'.repeat(700)), () => undefined);
  const error = caught(() => framer.push(Buffer.from(`${'y'.repeat(400)}END`), () => undefined));
  t.equal((error as QmpProtocolError).tail.length, 200);
  t.ok((error as QmpProtocolError).tail.endsWith('END'));
  t.end();
});

t.test('a line that is not UTF-8 is a protocol error', (t) => {
  t.type(
    caught(() => frame([Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a])])),
    QmpProtocolError,
  );
  t.end();
});

t.test('integers beyond 2^53-1 come as bigint, everything else as JSON.parse has it', (t) => {
  t.same(
    parseJsonLossless(
      '{"max":9007199254740991,"over":9007199254740992,"u64":18446744073709551615,"i64":-9223372036854775808,' +
        '"exp":1e20,"frac":0.12345678901234567,"text":"18446744073709551615","list":[18446744073709551615, 1]}',
    ),
    {
      max: 9007199254740991,
      over: 9007199254740992n,
      u64: 18446744073709551615n,
      i64: -9223372036854775808n,
      exp: 1e20,
      frac: 0.12345678901234567,
      text: '18446744073709551615',
      list: [18446744073709551615n, 1],
    },
  );
  t.equal(parseJsonLossless('18446744073709551615'), 18446744073709551615n, 'at the top as well');
  t.equal(parseJsonLossless('"1234567890123456789"'), '1234567890123456789');
  t.end();
});

t.test('strings that look like the inner mark come through untouched beside long integers', (t) => {
  const value = {
    '\u00011': '\u00011',
    '12345678901234567890': '\u0001\u000112345678901234567890',
    quoted: 'a "12345678901234567890" \\',
    big: 12345678901234567890n,
  };
  t.same(parseJsonLossless(stringifyJsonLossless(value)), value);
  t.same(parseJsonLossless('["\\\\",12345678901234567890,"\\\\\\"12345678901234567890"]'), [
    '\\',
    12345678901234567890n,
    '\\"12345678901234567890',
  ]);
  const proto = parseJsonLossless('{"__proto__":12345678901234567890}') as Record<string, unknown>;
  t.equal(Object.getOwnPropertyDescriptor(proto, '__proto__')?.value, 12345678901234567890n);
  t.end();
});

t.test('every value survives the way out and in', (t) => {
  const { tree } = fc.letrec<{ tree: QmpValue }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.stringMatching(/^\u0001?\u0001?-?\d{10,25}$/),
      fc.boolean(),
      fc.constant(null),
      fc.integer(),
      fc.double({ noDefaultInfinity: true, noNaN: true }).filter((n) => !Object.is(n, -0) && !isWide(n)),
      fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map((n) => (isWide(n) ? n : Number(n))),
      fc.array(tie('tree')),
      fc.dictionary(fc.string(), tie('tree'), { noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(tree, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
      const text = stringifyJsonLossless(value);
      assert.deepEqual(parseJsonLossless(text), value);
      // Spaces between tokens change nothing; JSON.stringify puts them, where it can take the value at all.
      if (indent !== undefined && !text.includes('\\u0001') && !/\d{16}/.test(text)) {
        assert.deepEqual(parseJsonLossless(JSON.stringify(value, undefined, indent)), value);
      }
    }),
    { numRuns: 300 },
  );
  t.end();
});

function isWide(n: number | bigint): boolean {
  return typeof n === 'bigint'
    ? n > BigInt(Number.MAX_SAFE_INTEGER) || n < -BigInt(Number.MAX_SAFE_INTEGER)
    : Number.isInteger(n) && !Number.isSafeInteger(n);
}

t.test('text is JSON for us exactly when it is for JSON.parse', (t) => {
  const piece = fc.constantFrom(
    ...['{', '}', '[', ']', ',', ':', '"', '\\', '"a"', ' ', '-', '.', 'e', '0', 'null'],
    ...[
      '12345678901234567890',
      '-12345678901234567890',
      '012345678901234567890',
      '"\\u0001',
      '1234567890123456',
    ],
  );
  const accepts = (work: () => unknown): boolean => caught(work) === undefined;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
      const text = pieces.join('');
      return accepts(() => parseJsonLossless(text)) === accepts(() => JSON.parse(text) as unknown);
    }),
    { numRuns: 5000 },
  );
  t.end();
});

t.test('nesting deeper than a stack comes through', (t) => {
  const depth = 100_000;
  t.doesNotThrow(() => parseJsonLossless(`${'['.repeat(depth)}12345678901234567890${']'.repeat(depth)}`));
  t.end();
});

t.test('what JSON cannot hold is refused, undefined members are left out', (t) => {
  t.throws(() => stringifyJsonLossless({ a: NaN }), TypeError);
  t.throws(() => stringifyJsonLossless([Infinity]), TypeError);
  t.throws(() => stringifyJsonLossless({ a: () => 1 }), TypeError);
  t.equal(stringifyJsonLossless({ a: undefined, b: 2n ** 64n - 1n }), '{"b":18446744073709551615}');
  t.end();
});

t.test('a command is one line with its id', (t) => {
  t.equal(formatCommand('x', 'stop', undefined, false), '{"execute":"stop","id":"x"}\n');
  t.equal(
    formatCommand('x', 'migrate-recover', { uri: 'tcp:é\n' }, true),
    '{"exec-oob":"migrate-recover","arguments":{"uri":"tcp:é\\n"},"id":"x"}\n',
  );
  t.end();
});

t.test('messages are told apart', (t) => {
  t.match(
    parseMessage('{"return":false,"id":1}'),
    { kind: 'return', value: false, id: 1 },
    'falsy returns count',
  );
  t.match(parseMessage('{"return":"","id":1}'), { kind: 'return', value: '' });
  t.match(parseMessage('{"error":{"class":"A","desc":"b"}}'), { kind: 'error', errorClass: 'A', desc: 'b' });
  t.match(parseMessage('{"event":"STOP","timestamp":{"seconds":1700000000,"microseconds":7}}'), {
    kind: 'event',
    name: 'STOP',
    data: {},
    timestampUs: 1_700_000_000_000_007,
  });
  const clockless = parseMessage('{"event":"STOP","timestamp":{"seconds":-1,"microseconds":-1}}');
  t.ok(
    clockless.kind === 'event' && Number.isNaN(clockless.timestampUs),
    'a QEMU without a clock says so by -1',
  );
  for (const line of [
    'nonsense',
    '[]',
    '"QMP"',
    '{}',
    '{"QMP":{}}',
    '{"QMP":1}',
    '{"error":{}}',
    '{"event":1}',
    '7',
  ]) {
    t.type(
      caught(() => parseMessage(line)),
      QmpProtocolError,
      line,
    );
  }
  t.end();
});
