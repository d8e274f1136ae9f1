import type { Draft, RunningTask } from '@hypostyle/vim';
import type { Allocation, MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from './machine-record.ts';

type Core = Pick<HostCore, 'machines'>;
type Machine = Pick<MachineRecord, 'id' | 'ref'>;
type Identity = Pick<MachineConfiguration, 'uuid' | 'instanceUuid' | 'nics'>;

interface Told {
  readonly before: Identity | undefined;
  readonly now: Identity;
}

/** Tells which identifiers and addresses a machine was given, or has now in place of others, and who else has them. */
export function tellIdentity(
  core: Core,
  { task, draft }: { readonly task: Pick<RunningTask, 'post'>; readonly draft: Draft },
  { id, ref }: Machine,
  { before, now }: Told,
): void {
  const post = (type: Parameters<RunningTask['post']>[1]['type'], members: object) =>
    task.post(draft, { type, entity: ref, members });
  const conflicts = (
    type: Parameters<RunningTask['post']>[1]['type'],
    has: (other: MachineConfiguration) => boolean,
    members: object,
  ) => {
    for (const { id: other, ref: vm, configuration } of core.machines.all()) {
      if (other === id || !has(configuration)) continue;
      post(type, { ...members, conflictedVm: { _typeName: 'VmEventArgument', name: configuration.name, vm } });
    }
  };
  const { uuid, instanceUuid } = now;
  if (uuid !== '' && uuid !== before?.uuid) {
    if (before === undefined || before.uuid === '') post('VmUuidAssignedEvent', { uuid });
    else post('VmUuidChangedEvent', { oldUuid: before.uuid, newUuid: uuid });
    conflicts('VmUuidConflictEvent', (other) => other.uuid === uuid, { uuid });
  }
  if (instanceUuid !== '' && instanceUuid !== before?.instanceUuid) {
    if (before === undefined || before.instanceUuid === '') post('VmInstanceUuidAssignedEvent', { instanceUuid });
    else post('VmInstanceUuidChangedEvent', { oldInstanceUuid: before.instanceUuid, newInstanceUuid: instanceUuid });
    conflicts('VmInstanceUuidConflictEvent', (other) => other.instanceUuid === instanceUuid, { instanceUuid });
  }
  for (const { key, number, mac } of now.nics) {
    const oldMac = before?.nics.find((nic) => nic.key === key)?.mac ?? '';
    if (mac === '' || mac === oldMac) continue;
    const adapter = `Network adapter ${number + 1}`;
    if (oldMac === '') post('VmMacAssignedEvent', { adapter, mac });
    else post('VmMacChangedEvent', { adapter, oldMac, newMac: mac });
    conflicts('VmMacConflictEvent', ({ nics }) => nics.some((nic) => nic.mac === mac), { mac });
  }
}

/** Tells what a machine is granted now, where that is other than before. */
export function tellReallocated(
  { task, draft }: { readonly task: Pick<RunningTask, 'post'>; readonly draft: Draft },
  { ref }: Machine,
  before: MachineConfiguration,
  now: MachineConfiguration,
): void {
  const modified = [...changes('cpu', before.cpuAllocation, now.cpuAllocation)];
  modified.push(...changes('memory', before.memoryAllocation, now.memoryAllocation));
  for (const { key, io } of now.disks) {
    const old = before.disks.find((disk) => disk.key === key);
    if (old !== undefined)
      modified.push(...changes(`disk(${key})`, { ...unlimited, ...old.io }, { ...unlimited, ...io }));
  }
  if (modified.length === 0) return;
  const configChanges = { _typeName: 'ChangesInfoEventArgument', modified: modified.join('') };
  task.post(draft, { type: 'VmResourceReallocatedEvent', entity: ref, members: { configChanges } });
}

const unlimited = { limit: -1, level: 'normal', shares: 1000 } as const;

function changes(what: string, before: Partial<Allocation>, now: Partial<Allocation>): string[] {
  const members = ['reservation', 'limit', 'level', 'shares'] as const;
  return members
    .filter((member) => before[member] !== now[member])
    .map((member) => `${what}.${member}: ${before[member]} -> ${now[member]}; \n`);
}
