// SPDX-License-Identifier: Apache-2.0
// A whole migration over monitors that are reached by ssh, through a real sshd on loopback with keys of its own.
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { run, startLongLived } from '../../testbed/index.ts';
import { startController } from '../../testbed/stage/controller.ts';
import { checkCoherence, HOT, readSettings, settingsBecome, stageWith } from './support/live.ts';

const SSHD = '/usr/sbin/sshd';
const skip = existsSync(SSHD) ? false : 'this machine has no sshd (apt-get install openssh-server)';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Starts an sshd for this user alone. Returns a PATH on which `ssh HOST` leads to it, for any HOST. */
async function startSshd(t: Test): Promise<string> {
  // Under /run: sshd wants every folder above an authorized_keys file to be its owner's alone.
  const folder = `/run/slackwater-test-sshd-${process.pid}`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  t.teardown(() => run(['rm', '-rf', folder]));
  for (const name of ['host', 'user']) {
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  }
  const port = await freePort();
  const sshdConfig = join(folder, 'sshd_config');
  writeFileSync(
    sshdConfig,
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${folder}/host`,
      `AuthorizedKeysFile ${folder}/user.pub`,
      `PidFile none`,
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'UsePAM no',
    ].join('\n'),
  );
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const sshd = await startLongLived([SSHD, '-D', '-e', '-f', sshdConfig]);
  t.teardown(async () => {
    sshd.kill('SIGTERM');
    await sshd.exited;
  });
  const sshConfig = join(folder, 'ssh_config');
  writeFileSync(
    sshConfig,
    [
      'Host *',
      '  HostName 127.0.0.1',
      `  Port ${port}`,
      `  IdentityFile ${folder}/user`,
      '  IdentitiesOnly yes',
      `  UserKnownHostsFile ${folder}/known_hosts`,
      '  StrictHostKeyChecking accept-new',
    ].join('\n'),
  );
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${sshConfig} "$@"\n`);
  chmodSync(join(bin, 'ssh'), 0o755);
  for (let attempt = 0; attempt < 50; attempt++) {
    const probe = await run([join(bin, 'ssh'), '-o', 'BatchMode=yes', 'anyhost', 'true'], {
      allowFailure: true,
    });
    if (probe.exitCode === 0) break;
    await delay(100);
  }
  return `${bin}${delimiter}${process.env['PATH'] ?? ''}`;
}

t.test('both monitors over ssh', { skip }, async (t) => {
  const path = await startSshd(t);
  const stage = await stageWith(t, HOT);
  const before = await readSettings(stage.source);
  await stage.addDestination();
  const args = [
    'migrate',
    ...['--qmp', `ssh:hosta:${stage.source.qmpPath}`, '--dest-qmp', `ssh:hostb:${stage.destination.qmpPath}`],
    ...['--to', stage.uri, '--json'],
  ];
  const { exitCode, document, stderr } = await startController(args, undefined, { PATH: path }).ended;
  t.equal(exitCode, 0, stderr);
  t.equal(document?.outcome, 'completed');
  // Two hosts, two clocks: the bound of the round trips is stated.
  t.ok((document?.downtime_stop_to_resume_uncertainty_ms ?? 0) > 0);
  t.same(await settingsBecome(stage.source, before), before);
  const left = readdirSync(tmpdir()).filter((name) => name.startsWith('slackwater-qmp-'));
  t.same(left, [], 'no forwarded socket is left');
  await checkCoherence(t, stage, stage.destination);
});
