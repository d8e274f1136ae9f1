import assert from 'node:assert/strict';
import { test } from 'node:test';
import { biosOf } from './host-facts.ts';

test('what DMI says of the firmware; nothing where it says nothing, or no date', () => {
  assert.deepEqual(biosOf({ vendor: 'SeaBIOS', version: '1.16', date: '04/01/2014' }), {
    vendor: 'SeaBIOS',
    version: '1.16',
    releaseDate: '2014-04-01T00:00:00.000Z',
  });
  assert.deepEqual(biosOf({ vendor: '', version: '', date: '' }), {});
  assert.deepEqual(biosOf({ vendor: '', version: '', date: '13/45/2014' }), {});
  assert.deepEqual(biosOf({ vendor: '', version: '', date: 'some day' }), {});
});
