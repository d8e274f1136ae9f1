import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Event, ManagedObjectReference } from '@hypostyle/vim';
import { CenterCalls } from '../testing/center-calls.ts';
import { Computer, smallMachine, vmFolder } from '../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const eventManager = { type: 'EventManager', value: 'ha-eventmgr' } as const;
const files = { type: 'FileManager', value: 'ha-nfc-file-manager' } as const;
const system = { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' } as const;
const location = { _typeName: 'VirtualMachineRelocateSpec' };

test('what is done to machines, files and datastores raises its documented events, in order and in one chain', {
  timeout: 120_000,
}, async (t) => {
  const computer = await Computer.make();
  t.after(() => computer.remove());
  const daemon = await computer.start();
  t.after(() => daemon.host.close());
  const center = await CenterCalls.of(daemon);
  const at = (name: string) => join(computer.datastore, name);
  let web: Machine = { type: 'VirtualMachine', value: '' };
  let copy: Machine = web;
  let deployed: Machine = web;
  const pool = { type: 'ResourcePool', value: 'ha-root-pool' };
  const adapter = (operation: 'add' | 'edit', macAddress: string) => ({
    ...spec,
    deviceChange: [
      {
        _typeName: 'VirtualDeviceConfigSpec',
        operation,
        device: {
          _typeName: 'VirtualVmxnet3',
          key: operation === 'add' ? -3 : 4000,
          addressType: 'manual',
          macAddress,
          backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'VM Network' },
        },
      },
    ],
  });
  const identityOf = (machine: Machine) => {
    const { uuid, instanceUuid } = daemon.read(machine, 'config') ?? {};
    return { uuid, instanceUuid };
  };
  const clone = { _typeName: 'VirtualMachineCloneSpec', template: false, powerOn: false, location };
  const spec = { _typeName: 'VirtualMachineConfigSpec' };
  const named = (name: string) => `[datastore1] d/${name}`;
  const steps: readonly (readonly [what: string, work: () => Promise<unknown>, events: readonly string[]])[] = [
    [
      'create',
      async () => (web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine),
      ['VmBeingCreatedEvent', 'VmUuidAssignedEvent', 'VmInstanceUuidAssignedEvent', 'VmCreatedEvent'],
    ],
    [
      'reconfigure',
      () => daemon.task(web, 'ReconfigVM_Task', { spec: { ...spec, memoryMB: 96 } }),
      ['VmReconfiguredEvent'],
    ],
    ['rename', () => daemon.task(web, 'Rename_Task', { newName: 'www' }), ['VmRenamedEvent']],
    ['power on', () => daemon.task(web, 'PowerOnVM_Task'), ['VmStartingEvent', 'VmPoweredOnEvent']],
    ['reset', () => daemon.task(web, 'ResetVM_Task'), ['VmResettingEvent']],
    ['suspend', () => daemon.task(web, 'SuspendVM_Task'), ['VmSuspendingEvent', 'VmSuspendedEvent']],
    ['resume', () => daemon.task(web, 'PowerOnVM_Task'), ['VmResumingEvent', 'VmPoweredOnEvent']],
    [
      'a ticket for its screen',
      () => daemon.call(web, 'AcquireTicket', { ticketType: 'webmks' }),
      ['VmAcquiredTicketEvent'],
    ],
    ['power off', () => daemon.task(web, 'PowerOffVM_Task'), ['VmStoppingEvent', 'VmPoweredOffEvent']],
    [
      'clone',
      async () =>
        (copy = (await center.task(web, 'CloneVM_Task', { folder: vmFolder, name: 'copy', spec: clone })) as Machine),
      ['VmBeingClonedEvent', 'VmUuidAssignedEvent', 'VmInstanceUuidAssignedEvent', 'VmClonedEvent'],
    ],
    [
      'an adapter',
      () => daemon.task(web, 'ReconfigVM_Task', { spec: adapter('add', '00:50:56:00:00:01') }),
      ['VmMacAssignedEvent', 'VmReconfiguredEvent'],
    ],
    [
      'another address',
      () => daemon.task(web, 'ReconfigVM_Task', { spec: adapter('edit', '00:50:56:00:00:02') }),
      ['VmMacChangedEvent', 'VmReconfiguredEvent'],
    ],
    [
      'an address that another machine has',
      () => daemon.task(copy, 'ReconfigVM_Task', { spec: adapter('add', '00:50:56:00:00:02') }),
      ['VmMacAssignedEvent', 'VmMacConflictEvent', 'VmReconfiguredEvent'],
    ],
    [
      'another identity, which another machine has',
      () => daemon.task(web, 'ReconfigVM_Task', { spec: { ...spec, ...identityOf(copy) } }),
      [
        'VmUuidChangedEvent',
        'VmUuidConflictEvent',
        'VmInstanceUuidChangedEvent',
        'VmInstanceUuidConflictEvent',
        'VmReconfiguredEvent',
      ],
    ],
    [
      'more shares',
      () =>
        daemon.task(web, 'ReconfigVM_Task', {
          spec: { ...spec, cpuAllocation: { _typeName: 'ResourceAllocationInfo', limit: 500 } },
        }),
      ['VmResourceReallocatedEvent', 'VmReconfiguredEvent'],
    ],
    ['a template', async () => daemon.call(copy, 'MarkAsTemplate'), []],
    [
      'deploy',
      async () =>
        (deployed = (await center.task(copy, 'CloneVM_Task', {
          folder: vmFolder,
          name: 'deployed',
          spec: { ...clone, location: { ...location, pool } },
        })) as Machine),
      ['VmBeingDeployedEvent', 'VmUuidAssignedEvent', 'VmInstanceUuidAssignedEvent', 'VmDeployedEvent'],
    ],
    ['a machine again', async () => daemon.call(copy, 'MarkAsVirtualMachine', { pool }), []],
    ['destroy what was deployed', () => daemon.task(deployed, 'Destroy_Task'), ['VmRemovedEvent']],
    [
      'add a datastore',
      () => daemon.call(system, 'CreateLocalDatastore', { name: 'other', path: join(computer.directory, 'other') }),
      ['LocalDatastoreCreatedEvent'],
    ],
    [
      'relocate',
      () => {
        const all = [...daemon.host.registry.all('Datastore')];
        const datastore = all.find((one) => one.value('name') === 'other')?.ref;
        return daemon.task(copy, 'RelocateVM_Task', { spec: { ...location, datastore } });
      },
      ['VmBeingRelocatedEvent', 'VmRelocatedEvent'],
    ],
    ['destroy', () => daemon.task(copy, 'Destroy_Task'), ['VmRemovedEvent']],
    ['unregister', () => daemon.call(web, 'UnregisterVM'), ['VmRemovedEvent']],
    [
      'register',
      () =>
        daemon.task(vmFolder, 'RegisterVM_Task', {
          path: '[datastore1] web/web.vmx',
          asTemplate: false,
          pool,
        }),
      ['VmRegisteredEvent'],
    ],
    [
      'copy a file',
      () => daemon.task(files, 'CopyDatastoreFile_Task', { sourceName: named('a'), destinationName: named('b') }),
      ['DatastoreFileCopiedEvent'],
    ],
    [
      'move a file',
      () => daemon.task(files, 'MoveDatastoreFile_Task', { sourceName: named('b'), destinationName: named('c') }),
      ['DatastoreFileMovedEvent'],
    ],
    [
      'delete a file',
      () => daemon.task(files, 'DeleteDatastoreFile_Task', { name: named('c') }),
      ['DatastoreFileDeletedEvent'],
    ],
  ];
  await mkdir(at('d'));
  await writeFile(at('d/a'), 'x');
  let last = 0;
  for (const [what, work, wanted] of steps) {
    await work();
    const all = (await daemon.call(eventManager, 'QueryEvents', {
      filter: { _typeName: 'EventFilterSpec' },
    })) as readonly Event[];
    const fresh = all.filter(({ key, _typeName = '' }) => key > last && wanted.includes(_typeName));
    assert.deepEqual(
      fresh.map(({ _typeName }) => _typeName),
      wanted,
      `${what}: ${all.filter(({ key }) => key > last).map(({ _typeName }) => _typeName)}`,
    );
    assert.ok(new Set(fresh.map(({ chainId }) => chainId)).size <= 1, `${what}: one chain`);
    for (const event of fresh) assert.notEqual(event.fullFormattedMessage ?? '', '', what);
    last = Math.max(last, ...all.map(({ key }) => key));
  }
});
