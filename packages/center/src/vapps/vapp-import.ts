import {
  asFault,
  type Call,
  data,
  fault,
  type ImportSpec,
  isData,
  localizedFault,
  type ManagedObjectReference,
  type RunningTask,
  type Session,
  type TaskKind,
  type VAppEntityConfigInfo,
  type VirtualAppImportSpec,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { byTask } from '../containers/acting.ts';
import { destroy } from '../containers/destroy.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { type PoolDocument, referenceOf } from '../inventory/entity-document.ts';
import { entityName } from '../inventory/entity-name.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import type { JoinedLeases } from '../leases/joined-leases.ts';
import { destroyMachine } from '../machines/destroy-machine.ts';
import { type BegunImport, interrupted, type MachineImports, type StartImport } from '../machines/import-work.ts';
import type { AskedPlace } from '../machines/machine-place.ts';
import type { PoolOperations } from '../pools/pool-operations.ts';
import { poolAt } from '../pools/pool-tree.ts';
import { ImportRules, mayMakeRules } from './import-rules.ts';
import { changedConfig } from './vapp-config.ts';
import { vAppFolder } from './vapp-operations.ts';

type Reference = ManagedObjectReference;
type Where = Pick<AskedPlace, 'folder' | 'pool' | 'host'>;

export interface VAppImportInput {
  readonly of: 'vApp';
  readonly spec: VirtualAppImportSpec;
  /** Reference values. */
  readonly pool: string;
  readonly folder: string | undefined;
  readonly host: string | undefined;
  /** Placement groups become rules of the cluster. */
  readonly rules?: boolean;
  /** Finds the caller, who waits for the lease. */
  readonly key: string;
}

/** vApps of the import, by reference value, the outermost first: written down before they are there. */
interface VAppImportJournal {
  readonly vApps: readonly string[];
}

/** A machine of the package and the vApp that it comes into. */
interface PlannedMachine {
  readonly spec: ImportSpec;
  readonly vApp: string;
  /** Names of the vApps that it is in, as the device ids of CreateImportSpec have them. */
  readonly path: string;
}

interface PlannedVApp {
  readonly spec: VirtualAppImportSpec;
  readonly value: string;
  readonly parent: string;
}

interface VAppImportParts {
  readonly machines: MachineImports;
  readonly pools: PoolOperations;
  readonly leases: JoinedLeases;
  readonly start: StartImport<VAppImportInput>;
}

export interface VAppImports extends Pick<Required<TaskKind<VAppImportInput>>, 'run' | 'resume'> {
  begin(call: Call, where: Where, spec: VirtualAppImportSpec): Promise<ManagedObjectReference<'HttpNfcLease'>>;
}

/**
 * ResourcePool.ImportVApp of a vApp: the vApps first, then each machine by an import of its own, all under one lease. It
 * is all or nothing: whatever ends it early takes everything away again.
 */
export function vAppImports(
  core: CenterCore,
  forwarding: Forwarding,
  { machines, pools, leases, start }: VAppImportParts,
): VAppImports {
  const waiting = new Map<string, { session: Session | undefined; lease: PromiseWithResolvers<Reference> }>();
  let last = 0;

  const run = async (task: RunningTask, input: VAppImportInput): Promise<unknown> => {
    const caller = waiting.get(input.key);
    if (caller === undefined) throw interrupted();
    const begun: BegunImport[] = [];
    const rules = new ImportRules(core, input);
    try {
      const plan = await core.inventory.edit((edit) => planned(edit, input));
      await task.journal({ vApps: plan.vApps.map(({ value }) => value) } satisfies VAppImportJournal);
      await core.inventory.edit((edit) => makeVApps(edit, task, input, plan.vApps));
      const lease = leases.open({
        entity: { type: 'VirtualApp', value: plan.vApps[0]?.value ?? '' },
        owner: caller.session,
        // Who starts the vApp as soon as the lease is done starts it in its order.
        beforeDone: async () => {
          const made = await allMade(core, begun);
          await core.inventory.edit((edit) => {
            order(edit, plan, made);
            rules.make(edit, task, new Map(plan.machines.map(({ spec }, index) => [spec, made[index]])));
          });
        },
      });
      const stop = () => void lease.abort(fault('RequestCanceled', {}, 'The import was cancelled.'));
      task.signal.addEventListener('abort', stop, { once: true });
      caller.lease.resolve(lease.ref);
      try {
        const paths: string[] = [];
        for (const { spec, vApp, path } of plan.machines) {
          task.signal.throwIfAborted();
          if (!isData('VirtualMachineImportSpec', spec)) continue;
          const one = await machines.begin(origin(task), {
            spec: spec.configSpec,
            where: {
              folder: undefined,
              pool: { type: 'VirtualApp', value: vApp },
              host: hostOf(input),
              wish: rules.wishFor(spec),
            },
            session: caller.session,
            parentTaskKey: task.ref.value,
          });
          begun.push(one);
          rules.placed(spec, one.host);
          paths.push(path);
        }
        // All of them are on their way: none waits for the one before it.
        for (const [index, one] of begun.entries()) lease.add(await one.lease, paths[index] ?? '');
        lease.complete();
        await lease.ended;
        return referenceOf(poolAt(core.inventory, plan.vApps[0]?.value ?? ''));
      } catch (error) {
        await lease.abort(asFault(error));
        throw error;
      } finally {
        task.signal.removeEventListener('abort', stop);
      }
    } catch (error) {
      caller.lease.reject(error);
      // At the end of the process nothing is over: the next one takes it back.
      if (!core.hosts.closed) await takeBack(core, forwarding, task);
      throw error;
    }
  };

  return {
    run,
    resume: async (task) => {
      await takeBack(core, forwarding, task, { again: true });
      throw interrupted();
    },
    begin: async (call, where, spec) => {
      const pool = poolAt(core.inventory, where.pool.value);
      const folder = vAppFolder(core, pool, where.folder);
      last += 1;
      const key = `${last}`;
      const caller = { session: call.session, lease: Promise.withResolvers<Reference>() };
      caller.lease.promise.catch(() => {});
      waiting.set(key, caller);
      try {
        const rules = mayMakeRules(core, call, pool.owner);
        const input = { of: 'vApp', spec, pool: pool.value, folder, host: where.host?.value, rules, key } as const;
        await start(call, { input, entityName: spec.name });
        return (await caller.lease.promise) as ManagedObjectReference<'HttpNfcLease'>;
      } finally {
        waiting.delete(key);
      }
    },
  };

  function makeVApps(
    edit: InventoryEdit,
    task: RunningTask,
    input: VAppImportInput,
    vApps: readonly PlannedVApp[],
  ): void {
    for (const { spec, value, parent: above } of vApps) {
      const parent = poolAt(edit, above);
      const config = changedConfig(undefined, { spec: spec.vAppConfigSpec, members: [], parameter: 'configSpec' });
      const document: PoolDocument = {
        type: 'VirtualApp',
        value,
        name: entityName(spec.name),
        parent: parent.value,
        owner: parent.owner,
        resources: pools.resourcesFor(edit, parent, spec.resourcePoolSpec),
        vApp: { config, ...(above === input.pool && input.folder !== undefined ? { folder: input.folder } : {}) },
      };
      requireFreeName(edit, document);
      edit.put(document);
      pools.created(edit, byTask(task), { pool: document, parent });
    }
  }
}

/** Every vApp with a reference of its own, and the machines of each. */
function planned(edit: InventoryEdit, { spec, pool }: VAppImportInput) {
  const vApps: PlannedVApp[] = [];
  const machines: PlannedMachine[] = [];
  const visit = (one: VirtualAppImportSpec, parent: string, above: string) => {
    const value = edit.mint('resgroup-v');
    const path = `${above}/${one.name}`;
    vApps.push({ spec: one, value, parent });
    for (const child of one.child ?? []) {
      if (isData('VirtualAppImportSpec', child)) visit(child, value, path);
      else machines.push({ spec: child, vApp: value, path });
    }
  };
  visit(spec, pool, '');
  return { vApps, machines };
}

/** The machines, in the order of their imports; the first failure ends all others, and is thrown once they are over. */
async function allMade(core: CenterCore, begun: readonly BegunImport[]): Promise<Reference[]> {
  const ends = await Promise.all(begun.map(({ task }) => core.tasks.finished(task)));
  const failed = ends.find(({ state }) => state !== 'success');
  if (failed === undefined) return ends.map(({ result }) => result as Reference);
  const { fault: detail, localizedMessage = '' } = failed.error ?? localizedFault(interrupted());
  const { _typeName = 'SystemError', ...members } = detail as { readonly _typeName?: string };
  throw fault(_typeName as 'SystemError', members as never, localizedMessage);
}

/** What the package says of the order of its machines and vApps, now that they have references. */
function order(edit: InventoryEdit, { vApps, machines }: ReturnType<typeof planned>, made: readonly Reference[]): void {
  for (const vApp of vApps) {
    const document = poolAt(edit, vApp.value);
    if (document.vApp === undefined) continue;
    const own = machines
      .map((machine, index) => ({ machine, key: made[index] }))
      .filter(({ machine }) => machine.vApp === vApp.value)
      .map(({ machine, key }) => ({ said: machine.spec.entityConfig, key }));
    const inner = vApps
      .filter(({ parent }) => parent === vApp.value)
      .map(({ spec, value }) => ({ said: spec.entityConfig, key: { type: 'VirtualApp', value } as Reference }));
    const all = [...own, ...inner].flatMap(({ said, key }) =>
      said === undefined || key === undefined ? [] : [{ ...said, key: key as never } satisfies VAppEntityConfigInfo],
    );
    const spec = data('VAppConfigSpec', { entityConfig: all });
    const members = all.map(({ key }) => key as Reference);
    const config = changedConfig(document.vApp.config, { spec, members, parameter: 'configSpec' });
    edit.put({ ...document, vApp: { ...document.vApp, config } });
  }
}

/** Ends what was begun, and takes away what is there of it: machines first, then their vApps. */
async function takeBack(
  core: CenterCore,
  forwarding: Forwarding,
  task: RunningTask,
  { again = false }: { readonly again?: boolean } = {},
): Promise<void> {
  const { vApps } = (task.journaled ?? { vApps: [] }) as VAppImportJournal;
  const parts = [...core.registry.all('Task')]
    .map(({ ref }) => ref as ManagedObjectReference<'Task'>)
    .filter((ref) => core.registry.read<'Task', 'info'>(ref, 'info')?.parentTaskKey === task.ref.value);
  for (const part of parts) {
    // After a restart each ends by itself, and takes away what it has made.
    if (!again) await core.tasks.cancel(part).catch(() => {});
    await core.tasks.finished(part);
  }
  for (const value of vApps.toReversed())
    for (const machine of core.inventory.machinesInPool(value))
      await destroyMachine(core, forwarding, task, machine, { again: true });
  await core.inventory.edit((edit) => {
    for (const value of vApps.toReversed()) if (edit.find(value)) destroy(edit, { value, post: byTask(task) });
  });
}

function origin({ userName }: RunningTask) {
  return { userName, reason: { _typeName: 'TaskReasonUser', userName } } as const;
}

function hostOf({ host }: VAppImportInput): Reference | undefined {
  return host === undefined ? undefined : { type: 'HostSystem', value: host };
}
