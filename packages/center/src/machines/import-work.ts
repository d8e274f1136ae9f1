import {
  asFault,
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type Session,
  type TaskInfo,
  type TaskKind,
  type TaskOrigin,
  type TaskRequest,
  type VimFault,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { activationPrefix, type HostLink } from '../hosts/connection/host-link.ts';
import { taskToken } from '../hosts/following/task-token.ts';
import { freeInstanceUuid, MachineMaking, type MakingJournal } from './create-work.ts';
import { expectNoMore } from './expected-machine.ts';
import { type AskedPlace, choosePlace, datastoresOf, type MachinePlace, machineName } from './machine-place.ts';

export interface MachineImportInput {
  readonly of: 'machine';
  readonly spec: VirtualMachineConfigSpec;
  readonly place: MachinePlace;
  /** Finds the caller, who waits for the lease. */
  readonly key: string;
}

interface Waiting {
  readonly session: Session | undefined;
  readonly lease: PromiseWithResolvers<ManagedObjectReference>;
}

/** A machine that is to be imported. */
export interface MachineImport {
  readonly spec: VirtualMachineConfigSpec;
  readonly where: Pick<AskedPlace, 'folder' | 'pool' | 'host' | 'wish'>;
  /** Sees the lease. */
  readonly session: Session | undefined;
  readonly parentTaskKey?: string;
}

/** An import under way. */
export interface BegunImport {
  readonly task: ManagedObjectReference<'Task'>;
  /** Reference value of the host that makes it. */
  readonly host: string;
  /** Rejects with the fault of an import that came to nothing before. */
  readonly lease: Promise<ManagedObjectReference<'HttpNfcLease'>>;
}

/** Starts the task of an import, of whatever kind. */
export type StartImport<Input> = (
  origin: Call | TaskOrigin,
  request: Omit<TaskRequest<Input>, 'kind'>,
) => Promise<ManagedObjectReference<'Task'>>;

export interface MachineImports extends Pick<Required<TaskKind<MachineImportInput>>, 'run' | 'resume'> {
  begin(origin: Call | TaskOrigin, request: MachineImport): Promise<BegunImport>;
}

/**
 * Imports: the center keeps name and place for the machine, the host gives the lease and takes the disks. A lease goes
 * with the center's process, so a restart ends the import on the host.
 */
export function machineImports(
  core: CenterCore,
  forwarding: Forwarding,
  start: StartImport<MachineImportInput>,
): MachineImports {
  const making = new MachineMaking(core);
  const waiting = new Map<string, Waiting>();
  let last = 0;
  const run = async (task: RunningTask, { spec, place, key }: MachineImportInput) => {
    const caller = waiting.get(key);
    // A queued import found again after a restart: its client is gone.
    if (caller === undefined) throw interrupted();
    try {
      const plan = () => ({ by: freeInstanceUuid(core, spec) });
      const made = { name: spec.name ?? '', place, plan, isAgain: false };
      return await making.make(task, made, async ({ by, link }) => {
        const lease = await beginAtHost(task, link, place, { ...spec, ...by });
        caller.lease.resolve(await link.showLease(lease, caller.session));
        return forwarding.outcome(task, link);
      });
    } catch (error) {
      caller.lease.reject(asFault(error));
      throw error;
    }
  };
  const beginAtHost = async (
    task: RunningTask,
    link: HostLink,
    place: MachinePlace,
    configSpec: VirtualMachineConfigSpec,
  ): Promise<ManagedObjectReference<'HttpNfcLease'>> => {
    const pool = { _typeName: 'ManagedObjectReference', type: 'ResourcePool', value: place.pool };
    const spec = { _typeName: 'VirtualMachineImportSpec', configSpec };
    const args = forwarding.toHost(link, 'ImportVApp', { spec });
    const at = forwarding.toHost(link, 'CreateVM_Task', { pool }).pool as ManagedObjectReference;
    const activationId = activationPrefix(core) + taskToken(core.registry, task.ref);
    const realUser = task.userName === '' ? {} : { realUser: task.userName };
    const lease = await link.call(at, 'ImportVApp', args, { activationId, ...realUser });
    return lease as ManagedObjectReference<'HttpNfcLease'>;
  };
  return {
    run,
    resume: async (task, { place }) => {
      const journal = task.journaled as MakingJournal | undefined;
      if (journal === undefined) throw interrupted();
      try {
        return await endAtHost(core, forwarding, task, place);
      } finally {
        if (!core.hosts.closed) await expectNoMore(core, place.host, journal.by);
      }
    },
    begin: async (origin, { spec, where, session, parentTaskKey }) => {
      if (spec.name === undefined)
        throw fault('InvalidArgument', { invalidProperty: 'spec.configSpec.name' }, 'It is unset.');
      const name = machineName(spec.name);
      const place = choosePlace(core, { ...where, datastores: datastoresOf(spec) });
      core.hosts.connected(place.host);
      last += 1;
      const key = `${last}`;
      const caller: Waiting = { session, lease: Promise.withResolvers() };
      const lease = caller.lease.promise as Promise<ManagedObjectReference<'HttpNfcLease'>>;
      lease.finally(() => waiting.delete(key)).catch(() => {});
      waiting.set(key, caller);
      try {
        const input = { of: 'machine', spec: { ...spec, name }, place, key } as const;
        const task = await start(origin, {
          input,
          entity: referenceOfPool(where.pool),
          entityName: name,
          parentTaskKey,
        });
        return { task, host: place.host, lease };
      } catch (error) {
        waiting.delete(key);
        throw error;
      }
    },
  };
}

function referenceOfPool(pool: ManagedObjectReference): ManagedObjectReference {
  return { _typeName: 'ManagedObjectReference', type: pool.type, value: pool.value };
}

/** Nobody can end the import's lease any more: what is left of it on the host is cancelled, or was done already. */
async function endAtHost(
  core: CenterCore,
  forwarding: Forwarding,
  task: RunningTask,
  place: MachinePlace,
): Promise<unknown> {
  const link = core.hosts.link(place.host);
  if (link === undefined) throw interrupted();
  await link.ready(task.signal);
  await link.caughtUp();
  const found = await link.tasks.begun(taskToken(core.registry, task.ref));
  if (found === undefined) throw interrupted();
  const isOver = (['success', 'error'] as TaskInfo['state'][]).includes(found.state);
  if (!isOver) await link.call(found.task, 'CancelTask', {});
  try {
    return await forwarding.outcome(task, link);
  } catch (error) {
    throw isOver ? error : interrupted();
  }
}

export function interrupted(): VimFault {
  return fault(
    'SystemError',
    { reason: 'interrupted' },
    'The management service restarted during the import; what had been made was taken away. Deploy it again.',
  );
}
