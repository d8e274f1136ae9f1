import assert from 'node:assert/strict';
import { it } from 'node:test';
import { formatDescriptor, parseDescriptor } from './descriptor.ts';
import { editDescriptor } from './descriptor-edit.ts';
import { settledDescriptor, settlingDescriptor, settlingPlaces, withSettlingFlat } from './settling.ts';

const places = { overlayName: 'web-delta.qcow2', sourceName: 'web-source.partial', offset: 1536, length: 70_000 };

it('says where the bytes of a disk are until they are its own, under one content id', () => {
  const made = settlingDescriptor({ ...places, virtualBytes: 1 << 30, adapterType: 'ide', hardwareVersion: 19 });
  const read = parseDescriptor(formatDescriptor(made));
  assert.deepEqual(settlingPlaces(read, 'web.vmdk'), places);
  const flat = parseDescriptor(formatDescriptor(withSettlingFlat(read, 'web-flat.vmdk')));
  assert.deepEqual(settlingPlaces(flat, 'web.vmdk'), { ...places, flatName: 'web-flat.vmdk' });
  const settled = parseDescriptor(formatDescriptor(settledDescriptor(flat, 'web-flat.vmdk')));
  assert.equal(settlingPlaces(settled, 'web.vmdk'), undefined);
  assert.equal(settled.createType, 'vmfs');
  assert.equal(settled.contentId, made.contentId);
  assert.deepEqual(settled.extents, [{ access: 'RW', sectors: 1 << 21, type: 'VMFS', file: 'web-flat.vmdk' }]);
  assert.equal(settled.ddb.get('thinProvisioned'), '1');
  assert.doesNotMatch(formatDescriptor(settled), /settling/i);
});

it('refuses one that does not say it', () => {
  const made = settlingDescriptor({ ...places, virtualBytes: 1 << 20 });
  for (const key of ['settling.source', 'settling.offset', 'settling.length']) {
    assert.throws(() => settlingPlaces(editDescriptor(made, { ddb: { [key]: undefined } }), 'web.vmdk'), {
      code: 'descriptor-invalid',
    });
  }
});
