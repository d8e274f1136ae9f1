import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VmdkError } from '@hypostyle/vmdk';
import { asNoRoom, NoRoom } from './settle-room.ts';

const system = (code: string) => Object.assign(new Error(`${code}: write`), { code });
const ofDisk = (cause?: Error) =>
  new VmdkError('io-failed', { file: 'web-flat.vmdk', reason: 'write', ...(cause === undefined ? {} : { cause }) });

test('a full file system is known as such, said by itself or through the disk that was written', () => {
  for (const error of [system('ENOSPC'), system('EDQUOT'), ofDisk(system('ENOSPC')), ofDisk(system('EDQUOT'))]) {
    const found = asNoRoom(error);
    assert.ok(found instanceof NoRoom);
    assert.equal(found.cause, error);
  }
});

test('any other error stays what it is', () => {
  for (const error of [system('EIO'), ofDisk(system('EIO')), ofDisk(), 'ENOSPC', undefined])
    assert.equal(asNoRoom(error), error);
});
