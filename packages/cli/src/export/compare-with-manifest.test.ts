import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpNfcLeaseManifestEntry } from '@hypostyle/vim';
import { compareWithManifest } from './compare-with-manifest.ts';

const entry: HttpNfcLeaseManifestEntry = {
  _typeName: 'HttpNfcLeaseManifestEntry',
  key: '/vm-7/VirtualLsiLogicController0:0',
  sha1: 'AB',
  checksum: 'cd',
  checksumType: 'sha256',
  size: 5,
  disk: true,
};
const disk = { key: entry.key, name: 'web-disk1.vmdk', size: 5, digest: 'cd' };

test('a disk that arrived as it was sent is taken, by the digest that was chosen', () => {
  compareWithManifest(disk, 'sha256', [{ ...entry, key: 'other' }, entry]);
  compareWithManifest({ ...disk, digest: 'ab' }, 'sha1', [entry]);
});

test('a disk that did not is refused by name', () => {
  for (const wrong of [
    { ...disk, digest: 'ce' },
    { ...disk, size: 4 },
  ]) {
    assert.throws(() => compareWithManifest(wrong, 'sha256', [entry]), /web-disk1\.vmdk did not arrive/);
  }
  assert.throws(() => compareWithManifest(disk, 'sha512', [entry]), /no sha512 of web-disk1/);
  assert.throws(() => compareWithManifest({ ...disk, key: 'x' }, 'sha256', [entry]), /nothing of web-disk1/);
});
