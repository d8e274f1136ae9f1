import type { RunningTask } from '@hypostyle/vim';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { holdMachine } from '../lifecycle/hold-machine.ts';
import { tellIdentity } from '../record/identity-events.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { addMachineObject } from './machine-entry.ts';
import {
  type FolderFacts,
  loadMachine,
  type MachineDocument,
  putMachine,
  putRuntime,
  type RuntimeDocument,
} from './registration.ts';

/** A machine whose folder is whole and that nobody knows yet. */
export interface Registration {
  readonly task: RunningTask;
  readonly datastore: Datastore;
  readonly vmxPath: string;
  readonly event: 'VmCreatedEvent' | 'VmRegisteredEvent' | 'VmClonedEvent' | 'VmDeployedEvent';
  /** Members of the event beside those that every event of machines has. */
  readonly members?: object;
  readonly name?: string | undefined;
  /** Reference value. */
  readonly pool: string;
  /** The task keeps the machine to itself until it says otherwise. */
  readonly held: boolean;
  /** What is true of it from the first moment, where it is not off. */
  readonly runtime?: RuntimeDocument;
  /** What its folder says, where whoever made it knows; it is read otherwise. */
  readonly facts?: FolderFacts | undefined;
}

/** Takes machines into the inventory: all of them in one write of the store, and in one commit. */
export async function registerMachines(
  core: HostCore,
  registrations: readonly Registration[],
): Promise<MachineRecord[]> {
  const ids = (await core.inventory.nextMachineIds(registrations.length)).map(String);
  const documents = registrations.map(
    ({ datastore, vmxPath, event, name }, index): MachineDocument => ({
      id: ids[index] as string,
      datastore: datastore.uuid,
      vmxPath,
      created: event === 'VmRegisteredEvent' ? undefined : new Date().toISOString(),
      ...(name === undefined ? {} : { name }),
    }),
  );
  const records = await Promise.all(
    documents.map((document, index) =>
      loadMachine(
        core,
        document,
        registrations[index]?.runtime,
        core.pools.referenceOf(registrations[index]?.pool ?? ''),
        registrations[index]?.facts,
      ),
    ),
  );
  await core.store.transact([
    core.inventory.given(),
    ...documents.flatMap((document, index) => [
      putMachine(document),
      ...putRuntime(document.id, registrations[index]?.runtime),
      ...core.pools.assign([document.id], registrations[index]?.pool ?? ''),
    ]),
  ]);
  for (const [index, { task, pool, held }] of registrations.entries()) {
    const id = ids[index] as string;
    core.pools.showAssigned(id, pool);
    if (held) holdMachine(core, task, id);
  }
  core.registry.commit((draft) => {
    for (const [index, record] of records.entries()) {
      core.machines.insert(record);
      addMachineObject(core, draft, record);
      const { task, event, members } = registrations[index] as Registration;
      // What came as a folder keeps what it is called; whatever is new was just named.
      if (event !== 'VmRegisteredEvent')
        tellIdentity(core, { task, draft }, record, { before: undefined, now: record.configuration });
      task.post(draft, { type: event, entity: record.ref, ...(members === undefined ? {} : { members }) });
    }
    core.inventory.refresh(draft);
  });
  return records;
}
