import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../errors.ts';
import { parseDiskPlace } from './disk-places.ts';

test('the place of a disk is said by its name, a datastore, and its room', () => {
  assert.deepEqual(parseDiskPlace('disk-1000-1=fast'), { disk: 'disk-1000-1', datastore: 'fast' });
  assert.deepEqual(parseDiskPlace('Hard disk 2=fast, or not,thick'), {
    disk: 'Hard disk 2',
    datastore: 'fast, or not',
    room: 'thick',
  });
  for (const wrong of ['', 'fast', '=fast', 'disk=']) assert.throws(() => parseDiskPlace(wrong), CliError);
});
