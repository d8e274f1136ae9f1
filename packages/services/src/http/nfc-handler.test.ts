import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSchema, Registry } from '@hypostyle/vim';
import { diskDownloadTarget } from '../disks/disk-download.ts';
import { diskUploadTarget } from '../disks/disk-upload.ts';
import { fileUploadTarget } from '../files/file-upload.ts';
import { TransferLeases } from '../leases/transfer-leases.ts';
import { collect, streamOf, temporaryDatastore } from '../testing/datastore-fixture.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { noEngine } from '../testing/no-engine.ts';
import { handleTransferRequest } from './nfc-handler.ts';

test('an import and an export go through their URLs', async (t) => {
  const root = await temporaryDatastore(t);
  const leases = new TransferLeases({ registry: new Registry(loadSchema()), clock: new FakeClock() });
  const image = Buffer.alloc(1_048_576, 'x');
  const names = (fileName: string) => ({ deviceId: `/vm/${fileName}`, key: `/vm-1/${fileName}`, fileName });
  const owner = { onComplete: async () => {}, onAbort: async () => {} };
  const entity = { type: 'VirtualMachine', value: 'vm-1' };
  const send = (method: string, url: string, body: AsyncIterable<Uint8Array> = streamOf(image)) =>
    handleTransferRequest({ method, url, headers: {}, body, signal: new AbortController().signal }, leases);
  const upload = { root, path: 'a.vmdk', capacityBytes: image.length, provisioning: 'thin' } as const;
  const imported = leases.open({
    ...owner,
    entity,
    targets: [
      diskUploadTarget(names('disk-0.vmdk'), upload),
      fileUploadTarget(names('a.nvram'), { root, path: 'a.nvram' }),
    ],
  });
  async function* broken() {
    yield Buffer.from('no disk at all');
  }
  assert.equal((await send('POST', `${imported.path}/disk-0.vmdk`, broken())).status, 422);
  assert.equal((await send('POST', `${imported.path}/disk-0.vmdk`)).status, 200);
  assert.equal((await send('POST', `${imported.path}/disk-0.vmdk`)).status, 409);
  assert.equal((await send('PUT', `${imported.path}/a.nvram`)).status, 201);
  assert.equal((await send('GET', `${imported.path}/a.nvram`)).status, 405);
  assert.equal((await send('POST', `${imported.path}/other`)).status, 404);
  assert.equal((await send('POST', `/nfc/${'0'.repeat(32)}/disk-0.vmdk`)).status, 404);
  assert.ok((await readFile(join(root.directory, 'a-flat.vmdk'))).equals(image));

  const exported = leases.open({
    ...owner,
    entity,
    targets: [
      diskDownloadTarget(
        { ...names('disk-0.vmdk'), capacityBytes: image.length },
        { root, path: 'a.vmdk', ...noEngine },
      ),
    ],
  });
  const answer = await send('GET', `${exported.path}/disk-0.vmdk`);
  assert.equal(answer.headers['content-type'], 'application/x-vnd.vmware-streamVmdk');
  assert.ok(answer.body !== undefined && !Buffer.isBuffer(answer.body));
  const bytes = await collect(answer.body);
  assert.equal(bytes.toString('latin1', 0, 4), 'KDMV');
  const [entry] = leases.target(exported.path.slice(5), 'disk-0.vmdk')?.manifest() ?? [];
  assert.equal(entry?.size, bytes.length);
});
