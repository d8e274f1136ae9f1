import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { ImageTool } from '@hypostyle/contracts';
import { manifestSigner, OvfError, openOvf, verifySignature, writeOva } from '@hypostyle/ovf';
import { VimFault } from '@hypostyle/vim';
import { SettlePace } from '@hypostyle/vmdk';
import { localContent, readContent } from '../leases/pull-content.ts';
import { collect, everything, streamOf, temporaryDatastore } from '../testing/datastore-fixture.ts';
import { testCertificate, testKey } from '../testing/web-server.ts';
import { DiskDamage } from './disk-damage.ts';
import { inflateDisk } from './inflate-disk.ts';
import { createSettlingDisk, settlingNames } from './new-settling-disk.ts';
import { writeRecord } from './settle-record.ts';
import { settlingDisk } from './settling-disk.ts';
import { settlingTarget } from './settling-target.ts';
import { bringSource, fileIdentity } from './source-file.ts';

const image = Buffer.alloc(4 << 16);
createHash('shake256', { outputLength: 60_000 })
  .update('disk')
  .digest()
  .copy(image, 1 << 16);
image.write('something that compresses '.repeat(2000), 2 << 16);
const diskName = 'disk1.vmdk';
const receiving = { signal: new AbortController().signal, onBytes: () => {} };
/** What the engine makes is not looked at here. */
const images = { createDelta: async ({ path }: { path: string }) => writeFile(path, '') } as unknown as ImageTool;

type Region = 'tar header' | 'descriptor' | 'manifest' | 'certificate' | 'disk' | 'padding' | 'end mark';

const signer = manifestSigner({ key: testKey, certificates: testCertificate });

async function archive(signed: boolean) {
  const disk = await collect(streamOf(image));
  const descriptor = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
<References><File ovf:id="f" ovf:href="${diskName}" ovf:size="${disk.length}"/></References>
<DiskSection><Info>d</Info><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="${image.length}"
 ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
<VirtualSystem ovf:id="v"><Info>v</Info><VirtualHardwareSection><Info>h</Info></VirtualHardwareSection></VirtualSystem>
</Envelope>`);
  const output = new PassThrough();
  const bytes = collect(output);
  const open = async function* () {
    yield disk;
  };
  await writeOva(output, {
    descriptorName: 'app.ovf',
    descriptor,
    files: [{ name: diskName, size: disk.length, open }],
    manifestAt: 'start',
    ...(signed ? { signer } : {}),
  });
  return { ova: await bytes, disk };
}

/** What each byte is: a header in front of each file, its bytes, and zeros to the next 512. */
function regionsOf(ova: Buffer): Region[] {
  const regions = new Array<Region>(ova.length).fill('padding');
  for (let at = 0; ova[at] !== 0; ) {
    const name = ova.toString('latin1', at, ova.indexOf(0, at));
    const size = Number.parseInt(ova.toString('latin1', at + 124, at + 135), 8);
    const what = { ovf: 'descriptor', mf: 'manifest', cert: 'certificate', vmdk: 'disk' }[name.split('.').at(-1) ?? ''];
    regions.fill('tar header', at, at + 512).fill(what as Region, at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  regions.fill('end mark', ova.length - 1024);
  return regions;
}

/** What a deployment goes by, as `hypo deploy` and the host read it, before any of it is done. */
async function readAsDeployed(path: string) {
  const ovf = await openOvf(path);
  try {
    const { manifestBytes, certificateBytes } = ovf;
    const signature = verifySignature(manifestBytes, certificateBytes);
    const content = await localContent(path, 'app.ova', memberOf);
    const { offset, length, digest } = content;
    const descriptor = `${ovf.descriptor.length} ${createHash('sha256').update(ovf.descriptor).digest('hex')}`;
    const said = {
      descriptor,
      status: signature.status,
      certificates: signature.certificates,
      offset,
      length,
      digest,
    };
    return { content, said: JSON.stringify(said), warnings: ovf.warnings.map(({ detail }) => detail) };
  } finally {
    await ovf.close();
  }
}

const memberOf = {
  _typeName: 'HttpNfcLeaseSourceFile',
  targetDeviceId: '',
  url: '',
  memberName: diskName,
  create: false,
} as const;
const unbelieved = /"status":"(untrusted-issuer|expired|not-yet-valid|weak-digest)"/;
/** Where `hypo deploy` goes no further. */
const refusedSignature = /"status":"(signature-wrong|manifest-changed|certificate-unreadable)"/;

for (const signed of [false, true]) {
  test(`a byte flipped anywhere in ${signed ? 'a signed' : 'an'} OVA is refused by name before anything is made, or means the same`, async (t) => {
    const { ova } = await archive(signed);
    const root = await temporaryDatastore(t);
    const path = join(root.directory, 'app.ova');
    await writeFile(path, ova);
    const whole = await readAsDeployed(path);
    assert.deepEqual(whole.warnings, []);
    const regions = regionsOf(ova);
    const counts = new Map<string, number>();
    await using file = await open(path, 'r+');
    for (const [at, region] of regions.entries()) {
      // All of a disk is under one digest, and what is said of an archive that is not signed is said of each.
      const zeros = region === 'padding' || region === 'end mark';
      const step = region === 'disk' ? 1009 : !signed && region !== 'manifest' ? 7 : zeros ? 3 : 1;
      if (at % step !== 0) continue;
      const flipped = Buffer.from(ova);
      flipped[at] = ova[at]! ^ (1 << (at % 8));
      await file.write(flipped, at, 1, at);
      const verdict = await verdictOf(path, flipped, whole.said);
      const where = `byte ${at} (${region}): ${verdict}`;
      counts.set(`${region}: ${verdict}`, (counts.get(`${region}: ${verdict}`) ?? 0) + 1);
      if (region === 'descriptor' || region === 'disk') assert.equal(verdict, 'refused', where);
      if (region === 'padding') assert.equal(verdict, 'warned', where);
      if (region === 'end mark') assert.notEqual(verdict, 'the same', where);
      if (region === 'manifest' && signed) assert.equal(verdict, 'refused', where);
      await file.write(ova, at, 1, at);
    }
    t.diagnostic([...counts].map(([what, count]) => `${what} ${count}`).join(', '));
  });
}

/** Refused by a typed error that names a file or place; else everything that a deployment goes by must be the same. */
async function verdictOf(path: string, flipped: Buffer, said: string): Promise<'refused' | 'warned' | 'the same'> {
  try {
    const read = await readAsDeployed(path);
    if (refusedSignature.test(read.said)) return 'refused';
    const { offset, length, digest } = read.content;
    assert.ok(digest, 'the disk has no digest any more');
    const actual = createHash(digest.algorithm)
      .update(flipped.subarray(offset, offset + length))
      .digest('hex');
    if (actual !== digest.expected) return 'refused';
    // A signature of which less is to be believed is told of.
    if (read.said.replace(unbelieved, '') !== read.said) return 'warned';
    assert.equal(read.said, said);
    return read.warnings.length > 0 ? 'warned' : 'the same';
  } catch (error) {
    if (!(error instanceof OvfError) && !(error instanceof VimFault)) throw error;
    assert.match(error.message, /app\.(ovf|mf|cert)|disk1\.vmdk|at byte \d+|the archive|descriptor/, error.message);
    return 'refused';
  }
}

test('a byte flipped in a disk is refused by name where it is verified before; nothing of it is there', async (t) => {
  const { ova, disk } = await archive(false);
  const root = await temporaryDatastore(t);
  const path = join(root.directory, 'app.ova');
  const first = ova.indexOf(disk.subarray(0, 512));
  const overhead = Number(disk.readBigUInt64LE(64)) * 512;
  const upload = { root, path: 'web/web.vmdk', capacityBytes: image.length, provisioning: 'thin' } as const;
  await mkdir(join(root.directory, 'web'));
  await writeFile(path, ova);
  const before = await everything(root);
  const target = settlingTarget({ deviceId: 'd', key: 'k', fileName: 'd.vmdk' }, upload, { verify: 'before', images });
  // A header, its descriptor, a marker, a grain, tables, the footer and the end.
  for (const at of [
    20,
    600,
    overhead + 3,
    overhead + 5000,
    disk.length - 3000,
    disk.length - 1400,
    disk.length - 900,
    disk.length - 1,
  ]) {
    const flipped = Buffer.from(ova);
    flipped[first + at] = ova[first + at]! ^ 4;
    await writeFile(path, flipped);
    const adopting = async () => {
      const content = await localContent(path, 'app.ova', memberOf);
      // As a pull does: what is no such disk any more is inflated on the way.
      if (!(await target.adopt?.(content, receiving)))
        await target.receive?.(readContent(content, receiving), receiving);
    };
    await assert.rejects(adopting, (error: unknown) => {
      assert.ok(error instanceof VimFault, `${error}`);
      assert.equal(error.type, 'IncorrectFileType', `byte ${at}: ${error.message}`);
      assert.match(error.message, /disk1\.vmdk in app\.ova/);
      return true;
    });
    assert.deepEqual(await everything(root), before, `byte ${at}`);
  }
  await writeFile(path, ova);
  assert.equal(await target.adopt?.(await localContent(path, 'app.ova', memberOf), receiving), true);
});

test('one that is verified in the background never gets its flat file, and its damage is named', async (t) => {
  const { ova, disk } = await archive(false);
  const root = await temporaryDatastore(t);
  const path = join(root.directory, 'app.ova');
  await writeFile(path, ova);
  const { offset, length, digest, name } = await localContent(path, 'app.ova', memberOf);
  assert.ok(digest);
  const overhead = Number(disk.readBigUInt64LE(64)) * 512;
  for (const [index, at] of [8, 600, overhead - 1, overhead + 3, overhead + 5000, disk.length - 520, -1].entries()) {
    const folder = `web${index}`;
    const descriptor = join(root.directory, folder, 'web.vmdk');
    await mkdir(join(root.directory, folder));
    const flipped = Buffer.from(ova);
    if (at >= 0) flipped[offset + at] = ova[offset + at]! ^ 4;
    await writeFile(path, flipped);
    const source = join(root.directory, folder, settlingNames(descriptor).source);
    const brought = await bringSource({ from: path, to: source, offset, length, ...receiving });
    await writeRecord(descriptor, { source: name, identity: await fileIdentity(source), digest });
    const making = createSettlingDisk({
      root,
      path: `${folder}/web.vmdk`,
      capacityBytes: image.length,
      provisioning: 'thin',
      offset: brought.offset,
      length,
      sourceName: name,
      images,
    });
    // What leads an engine astray is refused at once.
    if (await making.then(() => false, isOfDisk)) continue;
    const settling = await settlingDisk(descriptor, 'd');
    assert.ok(settling);
    const inflating = inflateDisk(settling, { pace: new SettlePace(), signal: receiving.signal, onProgress: () => {} });
    if (at >= 0) {
      await assert.rejects(inflating, (error: unknown) => {
        assert.ok(error instanceof DiskDamage, `byte ${at}: ${error}`);
        assert.match(error.message, /disk1\.vmdk in app\.ova/);
        return true;
      });
    } else {
      await inflating;
      assert.ok((await readFile(settling.files.partial)).equals(image));
    }
    assert.ok(!(await everything(root)).includes(`${folder}/web-flat.vmdk`));
  }
});

function isOfDisk(error: unknown): boolean {
  assert.ok(error instanceof VimFault && error.type === 'IncorrectFileType', `${error}`);
  return true;
}

test('for clients that send the descriptor alone, a manifest that does not speak of the disk refuses it', async (t) => {
  const { ova } = await archive(false);
  const root = await temporaryDatastore(t);
  const path = join(root.directory, 'app.ova');
  for (const [from, to] of [
    [`(${diskName})= `, '(disk2.vmdk)= '],
    ['SHA256(disk1', 'SHA2x6(disk1'],
    ['SHA256(disk1', '           1'],
  ] as const) {
    const text = ova.toString('latin1');
    assert.ok(text.includes(from), from);
    await writeFile(path, text.replace(from, to), 'latin1');
    await assert.rejects(localContent(path, 'app.ova', memberOf), (error: unknown) => {
      assert.ok(error instanceof VimFault && error.type === 'IncorrectFileType', `${error}`);
      assert.match(error.message, /app\.mf|disk1\.vmdk in app\.ova/);
      return true;
    });
  }
});
