// SPDX-License-Identifier: Apache-2.0
import t from 'tap';
import { parseSources } from '../../../testbed/image/debian-source.ts';
import { chooseTarball } from '../../../testbed/image/patched-qemu.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);

const STANZAS = `Package: qemu
Binary: qemu-system-x86, qemu-utils
Version: 1:10.0.2+ds-2+deb13u1~bpo12+1
Checksums-Sha256:
 ${B} 6801 qemu_10.0.2+ds-2+deb13u1~bpo12+1.dsc
 ${A} 39449628 qemu_10.0.2+ds.orig.tar.xz
Directory: pool/main/q/qemu

Package: qemu-web-desktop
Version: 1:10.0.9
Checksums-Sha256:
 ${B} 1 qemu-web-desktop_10.0.9.orig.tar.xz

Package: qemu
Version: 1:10.0.13+ds-0+deb13u1
Checksums-Sha256:
 ${B} 40010016 qemu_10.0.13+ds.orig.tar.xz
`;

t.test("upstream tarballs are read from apt's stanzas, those of other packages are not", (t) => {
  t.same(parseSources('qemu', STANZAS), [
    { version: '1:10.0.2+ds-2+deb13u1~bpo12+1', name: 'qemu_10.0.2+ds.orig.tar.xz', sha256: A },
    { version: '1:10.0.13+ds-0+deb13u1', name: 'qemu_10.0.13+ds.orig.tar.xz', sha256: B },
  ]);
  t.end();
});

t.test('the version wanted first is taken; of several the newest, by number', (t) => {
  const tarballs = parseSources('qemu', STANZAS);
  const recipe = { source: 'qemu', suites: ['trixie'], configure: [] };
  const versionOf = (versions: string[]) => chooseTarball({ ...recipe, versions }, tarballs).version;
  t.equal(versionOf(['1:10.0.2+ds', '1:10.0.']), '1:10.0.2+ds-2+deb13u1~bpo12+1');
  t.equal(versionOf(['1:10.0.']), '1:10.0.13+ds-0+deb13u1');
  t.throws(() => versionOf(['1:11.']), { message: /wanted qemu 1:11\. in trixie, got 1:10\.0\.2/ });
  t.end();
});
