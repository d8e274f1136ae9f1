import assert from 'node:assert/strict';
import test from 'node:test';
import { data, loadSchema, type ManagedObjectReference } from '@hypostyle/vim';
import { ReferenceRewriter } from './reference-rewriter.ts';

const rewriter = new ReferenceRewriter(loadSchema());

function reference(type: string, value: string): ManagedObjectReference {
  return { _typeName: 'ManagedObjectReference', type, value };
}

const prefixed = (ref: ManagedObjectReference) =>
  ref.value === 'gone' ? undefined : { ...ref, value: `c-${ref.value}` };

test('a reference is rewritten wherever the schema has one', () => {
  const device = {
    _typeName: 'VirtualDisk',
    key: 2000,
    backing: {
      _typeName: 'VirtualDiskFlatVer2BackingInfo',
      fileName: '[a] b',
      datastore: reference('Datastore', 'd1'),
    },
    capacityInKB: 1n,
  };
  const extra = [{ key: 'a', value: 'b' }];
  const config = {
    _typeName: 'VirtualMachineConfigInfo',
    name: 'a',
    extraConfig: extra,
    hardware: { device: [device] },
  };
  const type = { name: 'VirtualMachineConfigInfo', array: false };
  const other = rewriter.rewrite(type, config, prefixed) as typeof config;
  assert.equal(other.hardware.device[0]?.backing.datastore.value, 'c-d1');
  assert.equal(other.extraConfig, extra);
  assert.equal(device.backing.datastore.value, 'd1');
});

test('what holds no reference is the same value', () => {
  const value = data('HostListSummaryQuickStats', { overallCpuUsage: 5 });
  assert.equal(rewriter.rewrite({ name: 'HostListSummaryQuickStats', array: false }, value, prefixed), value);
  const summary = { name: 'x', url: 'y', capacity: 1n, freeSpace: 1n, accessible: true, type: 'OTHER' };
  assert.equal(rewriter.rewrite({ name: 'DatastoreSummary', array: false }, summary, prefixed), summary);
});

test('a reference that means nothing here is left out', () => {
  const list = [reference('Network', 'a'), reference('Network', 'gone'), reference('Network', 'b')];
  const other = rewriter.rewrite({ name: 'Network', array: true }, list, prefixed) as ManagedObjectReference[];
  assert.deepEqual(
    other.map(({ value }) => value),
    ['c-a', 'c-b'],
  );
  const summary = { datastore: reference('Datastore', 'gone'), name: 'x' };
  assert.deepEqual(rewriter.rewrite({ name: 'DatastoreSummary', array: false }, summary, prefixed), { name: 'x' });
});

test('anything goes: boxes, faults and events by their tag', () => {
  const boxed = { _typeName: 'ArrayOfManagedObjectReference', _value: [reference('VirtualMachine', '1')] };
  assert.deepEqual(rewriter.rewriteAny(boxed, prefixed), {
    _typeName: 'ArrayOfManagedObjectReference',
    _value: [reference('VirtualMachine', 'c-1')],
  });
  const event = { _typeName: 'VmPoweredOnEvent', key: 1, vm: { name: 'a', vm: reference('VirtualMachine', '1') } };
  const other = rewriter.rewriteAny(event, prefixed) as typeof event;
  assert.equal(other.vm.vm.value, 'c-1');
  assert.equal(rewriter.rewriteAny('text', prefixed), 'text');
  assert.deepEqual(rewriter.rewriteAny({ type: 'VirtualMachine', value: '1' }, prefixed), {
    type: 'VirtualMachine',
    value: 'c-1',
  });
});
