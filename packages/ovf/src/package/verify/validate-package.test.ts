import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { folderSource, formatManifest, OvfError, ovaSource, validatePackage } from '../../index.ts';
import { manifestSigner } from '../../signature/sign-manifest.ts';
import { descriptorOf, inputOf, ovaBytes, sha256 } from '../../testing/packages.ts';
import { pemOf, signatureFixture } from '../../testing/signature-fixtures.ts';

const disk = Buffer.alloc(2000, 'disk');
const two = '<File ovf:id="a" ovf:href="a.vmdk" ovf:size="2000"/><File ovf:id="b" ovf:href="b.txt"/>';
const signer = manifestSigner({ key: signatureFixture('signer.key'), certificates: pemOf('signer') });

async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'ovf-'));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Rules that an archive breaks, of those of the package around the descriptor. */
async function broken(bytes: Uint8Array, mode: 'strict' | 'lax' = 'strict'): Promise<string[]> {
  return inFolder(async (folder) => {
    const path = join(folder, 'vm.ova');
    await writeFile(path, bytes);
    const source = await ovaSource(path, { lax: true });
    try {
      const issues = await validatePackage(source, { mode });
      return issues
        .filter(({ rule }) => /^(file|archive|bundle|manifest|certificate)-/.test(rule))
        .map(({ rule, severity, location }) => `${severity} ${rule} ${location.file}`);
    } finally {
      await source.close();
    }
  });
}

async function archive(references: string, names: readonly (readonly [string, Uint8Array])[], kept?: Buffer) {
  return ovaBytes({
    descriptorName: 'vm.ovf',
    descriptor: descriptorOf(references),
    files: names.map(([name, bytes]) => inputOf(name, bytes)),
    ...(kept === undefined ? { digest: false } : { kept: { manifest: kept } }),
  });
}

test('a package that keeps to the rules has no finding', async () => {
  const files = [inputOf('a.vmdk', disk), inputOf('b.txt', disk)];
  const ova = { descriptorName: 'vm.ovf', descriptor: descriptorOf(two), files };
  for (const manifestAt of ['start', 'end'] as const) {
    assert.deepEqual(await broken(await ovaBytes({ ...ova, manifestAt, signer })), []);
  }
});

test('each rule of the package around the descriptor is told by name', async () => {
  const a = ['a.vmdk', disk] as const;
  const b = ['b.txt', disk] as const;
  const descriptor = descriptorOf(two);
  const manifest = (...names: readonly string[]) =>
    Buffer.from(
      formatManifest({
        entries: names.map((file) => ({
          algorithm: 'SHA256',
          file,
          digest: sha256(file === 'vm.ovf' ? descriptor : disk),
        })),
      }),
    );
  const chunked = '<File ovf:id="a" ovf:href="a" ovf:size="2000" ovf:chunkSize="1500"/>';
  const cases: [string, Buffer][] = [
    ['error file-there b.txt', await archive(two, [a])],
    ['error file-listed c', await archive(two, [a, b, ['c', disk]])],
    ['error file-size a.vmdk', await archive(two, [['a.vmdk', disk.subarray(1)], b])],
    ['error file-name vm.ovf', await archive('<File ovf:id="a" ovf:href="../a"/>', [])],
    ['warning file-outside vm.ovf', await archive('<File ovf:id="a" ovf:href="https://example.org/a"/>', [])],
    ['error archive-order a.vmdk', await archive(two, [b, a])],
    [
      'error file-chunks a',
      await archive(chunked, [
        ['a.000000000', disk.subarray(0, 700)],
        ['a.000000001', disk.subarray(700)],
      ]),
    ],
    ['error manifest-complete b.txt', await archive(two, [a, b], manifest('vm.ovf', 'a.vmdk'))],
    ['error manifest-known vm.mf', await archive(two, [a, b], manifest('vm.ovf', 'a.vmdk', 'b.txt', 'c'))],
    ['error manifest-readable vm.mf', await archive(two, [a, b], Buffer.from('nonsense'))],
  ];
  for (const [expected, bytes] of cases) assert.deepEqual(await broken(bytes), [expected]);
  const lax = await broken(await archive(two, [b, a, ['c', disk]]), 'lax');
  assert.deepEqual(lax, ['warning file-listed c', 'warning archive-order a.vmdk']);
});

test('a certificate that does not sign the manifest is an error', async () => {
  const bytes = await ovaBytes({
    descriptorName: 'vm.ovf',
    descriptor: descriptorOf(two),
    files: [inputOf('a.vmdk', disk), inputOf('b.txt', disk)],
    signer,
  });
  const at = bytes.indexOf('SHA256(vm.mf)= ') + 20;
  bytes[at] = bytes[at] === 0x30 ? 0x31 : 0x30;
  assert.deepEqual(await broken(bytes), ['error certificate-valid vm.cert']);
});

test('nothing that an archive can hold does more than make findings or an OvfError', async () => {
  const whole = await ovaBytes({
    descriptorName: 'vm.ovf',
    descriptor: descriptorOf(two),
    files: [inputOf('a.vmdk', disk), inputOf('b.txt', disk)],
    signer,
  });
  const flips = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(flips, async (changes) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of changes) bytes[at] = value;
      await broken(bytes).catch((error: unknown) => assert.ok(error instanceof OvfError, String(error)));
    }),
    { numRuns: 60 },
  );
});

test('a descriptor without one of its files is checked by itself, where that is asked for', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'vm.ovf');
    await writeFile(path, descriptorOf(`${two}<File ovf:id="c" ovf:href="../c.vmdk"/>`));
    const rules = async (alone: boolean) => {
      const issues = await validatePackage(await folderSource(path), { alone });
      return issues
        .filter(({ rule }) => /^(file|descriptor)-/.test(rule))
        .map(({ rule, severity }) => `${severity} ${rule}`);
    };
    assert.ok((await rules(false)).includes('error file-name'));
    assert.deepEqual(await rules(true), ['warning descriptor-alone']);
    await writeFile(join(folder, 'b.txt'), 'b');
    assert.ok((await rules(true)).includes('error file-name'));
  });
});
