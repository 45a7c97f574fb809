// SPDX-License-Identifier: Apache-2.0
// A whole migration over monitors that are reached by ssh, through a real sshd on loopback with keys of its own.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startController } from '../../testbed/stage/controller.ts';
import { checkCoherence, HOT, readSettings, settingsBecome, stageWith } from './support/live.ts';
import { sshdPath, sshOnPath, startSshd } from './support/sshd.ts';

const program = await sshdPath();
const skip = program === null ? 'no sshd on this machine, and none to be had from Debian' : false;

t.test('both monitors over ssh', { skip }, async (t) => {
  const sshd = await startSshd(t, { program: program! });
  const path = sshOnPath(t, { '*': sshd.clientConfig });
  const stage = await stageWith(t, HOT);
  const before = await readSettings(stage.source);
  await stage.addDestination();
  const args = [
    'migrate',
    ...['--qmp', `ssh:hosta:${stage.source.qmpPath}`, '--dest-qmp', `ssh:hostb:${stage.destination.qmpPath}`],
    ...['--to', stage.uri, '--json'],
  ];
  const folder = mkdtempSync(join(tmpdir(), 'slackwater-test-ssh-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const environment = { PATH: path, TMPDIR: folder };
  const { exitCode, document, stderr } = await startController(args, undefined, environment).ended;
  t.equal(exitCode, 0, stderr);
  t.equal(document?.outcome, 'completed');
  // Two hosts, two clocks: the bound of the round trips is stated.
  t.ok((document?.downtime_stop_to_resume_uncertainty_ms ?? 0) > 0);
  t.same(await settingsBecome(stage.source, before), before);
  t.same(readdirSync(folder), [], 'no forwarded socket is left');
  await checkCoherence(t, stage, stage.destination);
});
