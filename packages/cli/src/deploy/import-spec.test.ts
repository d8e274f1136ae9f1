import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data, type ManagedObjectReference } from '@hypostyle/vim';
import { CliError } from '../errors.ts';
import { withDiskPlaces } from './import-spec.ts';

const datastore = (value: string): ManagedObjectReference<'Datastore'> => ({ type: 'Datastore', value });
const disk = (key: number) =>
  data('VirtualDeviceConfigSpec', {
    operation: 'add',
    device: data('VirtualDisk', {
      key,
      capacityInKB: 1024,
      backing: data('VirtualDiskFlatVer2BackingInfo', { fileName: '', diskMode: 'persistent' }),
    }),
  });
const controller = data('VirtualDeviceConfigSpec', {
  operation: 'add',
  device: data('VirtualIDEController', { key: 200, busNumber: 0 }),
});

test('disks of a package go to the datastores that are named for all, or for one by its number', () => {
  const placesOf = (entries: [number | 'all', string][]) =>
    withDiskPlaces(
      [controller, disk(-1), disk(-2)],
      new Map(entries.map(([key, value]) => [key, datastore(value)] as const)),
    ).map(({ device }) => (device.backing as { datastore?: ManagedObjectReference } | undefined)?.datastore?.value);
  assert.deepEqual(placesOf([]), [undefined, undefined, undefined]);
  assert.deepEqual(placesOf([['all', 'ds-1']]), [undefined, 'ds-1', 'ds-1']);
  assert.deepEqual(
    placesOf([
      ['all', 'ds-1'],
      [2, 'ds-2'],
    ]),
    [undefined, 'ds-1', 'ds-2'],
  );
  assert.throws(() => placesOf([[3, 'ds-2']]), CliError);
});
