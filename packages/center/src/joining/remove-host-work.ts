import { type Call, fault, type ManagedObjectReference, type RunningTask } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { forgetInCluster } from '../containers/cluster-rules.ts';
import { deleteHostEvents } from '../hosts/following/host-events.ts';
import { deletePart } from '../hosts/mirror/host-parts.ts';
import { type HostDocument, notSharedBy, referenceOf } from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { isInMaintenance, removeCompute } from './host-places.ts';

type Task = Promise<ManagedObjectReference<'Task'>>;

/** Milliseconds in which a host that is let go must answer: one that was connected, and one that was not. */
const farewellTime = { connected: 10_000, away: 3_000 } as const;

export interface RemovalWork {
  /** HostSystem.Destroy_Task. Throws InvalidState. */
  removeHost(call: Call): Task;
  /** ComputeResource.Destroy_Task: the one host goes with it. */
  removeStandalone(call: Call): Task;
}

interface RemoveInput {
  readonly host: string;
}

/** Tasks that take a host out of the inventory, with all that it brought. Its machines run on. */
export function defineRemovalWork(core: CenterCore): RemovalWork {
  const run = async (task: RunningTask, { host }: RemoveInput) => {
    const document = core.inventory.find(host);
    // After a restart it may be gone already.
    if (document?.type === 'HostSystem') await remove(core, task, document);
  };
  const start = core.tasks.define<RemoveInput>('HostSystem.destroy', { method: 'Destroy_Task', run, resume: run });
  return {
    removeHost: (call) => {
      const host = core.inventory.get('HostSystem', call.self.ref);
      checkRemovable(core, host);
      return start(call, { input: { host: host.value }, queueKey: host.value });
    },
    removeStandalone: (call) => {
      const [host] = core.inventory.children(call.self.ref.value).filter(({ type }) => type === 'HostSystem');
      if (host === undefined) throw fault('ManagedObjectNotFound', { obj: call.self.ref }, 'It has no host any more.');
      return start(call, { input: { host: host.value }, queueKey: host.value });
    },
  };
}

/** One of a cluster is let go only when nothing counts on it. */
function checkRemovable(core: CenterCore, host: HostDocument): void {
  const compute = core.inventory.find(host.parent ?? '');
  if (compute?.type !== 'ClusterComputeResource') return;
  if (core.hosts.link(host.value)?.connected !== true || isInMaintenance(core, host)) return;
  throw fault(
    'InvalidState',
    {},
    `Disconnect '${host.name}' first, or enter maintenance mode: it is part of a cluster.`,
  );
}

async function remove(core: CenterCore, task: RunningTask, host: HostDocument): Promise<void> {
  const { hosts, inventory, tasks, lastKnown } = core;
  const link = await hosts.stop(host.value);
  await farewell(core, host, link?.mirror.shown === 'connected' ? farewellTime.connected : farewellTime.away);
  const gone: string[] = [];
  await inventory.edit((edit) => {
    // Events tell where it was, so that it has to be there still.
    core.registry.commit((draft) => task.post(draft, { type: 'HostRemovedEvent', entity: referenceOf(host) }));
    for (const machine of inventory.machinesOnHost(host.value)) {
      forgetInCluster(edit, machine);
      edit.remove(machine.value);
      gone.push(machine.value);
    }
    gone.push(...unshare(core, edit, host));
    removeParts(core, edit, host);
    edit.write(deleteHostEvents(host.value));
    const compute = edit.find(host.parent ?? '');
    edit.remove(host.value);
    if (compute?.type === 'ComputeResource') removeCompute(edit, compute);
  });
  for (const value of [...gone, host.value]) lastKnown.forget(value);
  hosts.forget(host.value);
  for (const open of tasks.owned.of(host.value)) await open.lose('The host was removed from the inventory.');
}

/** The host trusts this center no more. One that does not answer keeps what it knows of it, which is nothing secret. */
async function farewell(core: CenterCore, host: HostDocument, time: number): Promise<void> {
  const { connector } = core.hosts;
  try {
    const connection = await connector.connect(host.address, AbortSignal.timeout(time));
    try {
      await connector.dismiss(connection);
    } finally {
      await connection.close();
    }
  } catch (error) {
    core.onLog(`the host '${host.name}' was removed, and could not be told`, error);
  }
}

/** Datastores and networks that no other host has go with it. */
function unshare(core: CenterCore, edit: InventoryEdit, host: HostDocument): string[] {
  const { shared } = core.hosts;
  const gone: string[] = [];
  for (const value of shared.ofHost(host.value)) {
    const document = edit.find(value);
    if (shared.remove(value, host.value)) {
      if (document !== undefined) edit.put(notSharedBy(document, host.value), shared.merged(value));
      continue;
    }
    if (document !== undefined) edit.remove(value);
    gone.push(value);
  }
  return gone;
}

function removeParts(core: CenterCore, edit: InventoryEdit, host: HostDocument): void {
  for (const part of core.hosts.parts(host.value)) {
    edit.write(deletePart(part.host, part.hostValue));
    const ref = { type: part.type, value: part.value };
    edit.show((draft) => {
      if (draft.has(ref)) draft.remove(ref);
    });
  }
}
