// SPDX-License-Identifier: Apache-2.0
// Addresses as people write them, and questions to a schema as QEMU sends it.

import t from 'tap';
import { UsageError } from '../../../src/common/index.ts';
import { QmpProtocolError, QmpSchema, formatQmpAddress, parseQmpAddress } from '../../../src/qmp/index.ts';

function refusal(text: string): UsageError {
  try {
    parseQmpAddress(text);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`${text} was taken`);
}

t.test('addresses that are taken, and back to text', (t) => {
  for (const [text, address] of [
    ['unix:/run/a.sock', { kind: 'unix', path: '/run/a.sock' }],
    ['unix:/with:colon', { kind: 'unix', path: '/with:colon' }],
    ['tcp:127.0.0.1:4444', { kind: 'tcp', host: '127.0.0.1', port: 4444 }],
    ['tcp:127.8.9.1:1', { kind: 'tcp', host: '127.8.9.1', port: 1 }],
    ['tcp:localhost:65535', { kind: 'tcp', host: 'localhost', port: 65535 }],
    ['tcp:[::1]:4444', { kind: 'tcp', host: '::1', port: 4444 }],
    ['ssh:vm1:/run/a.sock', { kind: 'ssh', host: 'vm1', path: '/run/a.sock' }],
    ['ssh:root@fe80::1:/run/a', { kind: 'ssh', host: 'root@fe80::1', path: '/run/a' }],
  ] as const) {
    t.same(parseQmpAddress(text), address, text);
    t.equal(formatQmpAddress(address), text);
  }
  t.same(parseQmpAddress('/run/a.sock'), { kind: 'unix', path: '/run/a.sock' });
  t.end();
});

t.test('TCP off loopback is refused and points to ssh, unless insecure', (t) => {
  const error = refusal('tcp:vm1.example:4444');
  t.match(error.remedy, /ssh:vm1\.example:\//);
  t.equal(error.code, 'ERR_USAGE');
  t.same(parseQmpAddress('tcp:vm1.example:4444', { insecure: true }), {
    kind: 'tcp',
    host: 'vm1.example',
    port: 4444,
  });
  for (const disguise of [
    'tcp:0.0.0.0:1',
    'tcp:127.evil.example:1',
    'tcp:localhost.example:1',
    'tcp:[::]:1',
    'tcp:128.0.0.1:1',
  ]) {
    t.match(refusal(disguise).message, /refused/, disguise);
  }
  t.end();
});

t.test('what is no address is refused', (t) => {
  const texts = [
    '',
    'qmp.sock',
    './qmp',
    'unix:qmp',
    'unix:',
    'http://x',
    'tcp:localhost',
    'tcp:localhost:0',
  ];
  const more = [
    'tcp:localhost:65536',
    'tcp::1:4444',
    'tcp:[localhost]:1',
    'ssh:/run/a',
    'ssh::/run/a',
    'ssh:h:run',
  ];
  const nasty = [
    'ssh:-oProxyCommand=x:/a',
    'ssh:u@-x:/a',
    'ssh:a b:/run/a',
    'ssh:h:/a:b',
    'ssh:h:/%h',
    'ssh:h:/$X',
  ];
  for (const text of [...texts, ...more, ...nasty, '/nul\0', `/${'x'.repeat(107)}`]) {
    t.ok(refusal(text).message.length > 0, JSON.stringify(text));
  }
  t.end();
});

const schema = new QmpSchema([
  { name: 'str', 'meta-type': 'builtin', 'json-type': 'string' },
  { name: 'int', 'meta-type': 'builtin', 'json-type': 'int' },
  { name: '0', 'meta-type': 'object', members: [] },
  { name: 'stop', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '0' },
  { name: 'STOP', 'meta-type': 'event', 'arg-type': '0' },
  { name: 'yank', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '0', 'allow-oob': true },
  { name: 'set-caps', 'meta-type': 'command', 'arg-type': '1', 'ret-type': '0' },
  { name: '1', 'meta-type': 'object', members: [{ name: 'capabilities', type: '[2]' }] },
  { name: '[2]', 'meta-type': 'array', 'element-type': '2' },
  {
    name: '2',
    'meta-type': 'object',
    members: [
      { name: 'capability', type: '3' },
      { name: 'state', type: 'int', features: ['unstable'] },
    ],
  },
  {
    name: '3',
    'meta-type': 'enum',
    members: [{ name: 'postcopy-ram' }, { name: 'multifd' }],
    values: ['postcopy-ram', 'multifd'],
  },
  { name: '9', 'meta-type': 'enum', values: ['old-style'] },
  { name: 'info', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '4', features: ['deprecated'] },
  {
    name: '4',
    'meta-type': 'object',
    tag: 'kind',
    members: [
      { name: 'kind', type: '9' },
      { name: 'self', type: '4', default: null },
    ],
    variants: [
      { case: 'a', type: '5' },
      { case: 'b', type: '0' },
    ],
  },
  { name: '5', 'meta-type': 'object', members: [{ name: 'either', type: '6' }] },
  { name: '6', 'meta-type': 'alternate', members: [{ type: '2' }, { type: '3' }, { type: 'str' }] },
]);

t.test('commands, events and features', (t) => {
  t.ok(schema.hasCommand('stop'));
  t.notOk(schema.hasCommand('STOP'), 'an event is no command');
  t.notOk(schema.hasCommand('1'), 'a type is no command');
  t.ok(schema.hasEvent('STOP'));
  t.notOk(schema.hasEvent('stop'));
  t.ok(schema.allowsOob('yank'));
  t.notOk(schema.allowsOob('stop'));
  t.same(schema.features('info'), ['deprecated']);
  t.same(schema.features('nothing'), []);
  t.same(schema.commands, ['info', 'set-caps', 'stop', 'yank']);
  t.same(schema.events, ['STOP']);
  t.end();
});

t.test('members are found through arrays, variants and alternates', (t) => {
  t.ok(schema.commandHasArgument('set-caps', 'capabilities'));
  t.ok(schema.commandHasArgument('set-caps', 'capabilities.state'));
  t.notOk(schema.commandHasArgument('set-caps', 'state'));
  t.notOk(schema.commandHasArgument('missing', 'state'));
  t.ok(schema.returnsMember('info', 'either.state'));
  t.ok(schema.returnsMember('info', 'self.self.kind'));
  t.notOk(schema.returnsMember('info', 'kind.x'));
  t.notOk(schema.eventHasMember('STOP', 'x'));
  t.same(schema.argumentFeatures('set-caps', 'capabilities'), []);
  t.end();
});

t.test('values of enums, in both spellings of the schema', (t) => {
  t.ok(schema.commandArgumentEnumHas('set-caps', 'capabilities.capability', 'multifd'));
  t.notOk(schema.commandArgumentEnumHas('set-caps', 'capabilities.capability', 'mapped-ram'));
  t.notOk(schema.commandArgumentEnumHas('set-caps', 'capabilities', 'multifd'), 'an object is no enum');
  t.ok(schema.returnsEnumHas('info', 'kind', 'old-style'));
  t.same(schema.returnsEnum('info', 'either'), ['postcopy-ram', 'multifd']);
  t.end();
});

t.test('what is no schema is a protocol error', (t) => {
  for (const reply of [{}, [1], [{ name: 'x' }], [null], 'x'])
    t.throws(() => new QmpSchema(reply), QmpProtocolError);
  t.end();
});
