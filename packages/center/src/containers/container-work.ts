import { requireForDestroy, requireForMoveIntoFolder, requireForRename } from '@hypostyle/services';
import {
  type Call,
  type ClusterConfigSpecEx,
  type ComputeResourceConfigSpec,
  type DatacenterConfigSpec,
  data,
  fault,
  type ManagedObjectReference,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { EntityType } from '../inventory/entity-document.ts';
import { entityName } from '../inventory/entity-name.ts';
import { InventoryTasks, type StartTask } from '../inventory/inventory-tasks.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import { byTask } from './acting.ts';
import { computeConfiguration } from './cluster-configuration.ts';
import { checkDestroyable, destroy, machinesIn } from './destroy.ts';
import { MachineSteps } from './machine-steps.ts';
import { moveIntoFolder } from './move-into-folder.ts';
import { reconfigureCluster } from './reconfigure-cluster.ts';
import { rename } from './rename.ts';

type Task = Promise<ManagedObjectReference<'Task'>>;

/** Types of entities that the center alone has. */
const containers = [
  'Folder',
  'Datacenter',
  'ClusterComputeResource',
  'ResourcePool',
  'VirtualApp',
] as const satisfies readonly EntityType[];

type Container = (typeof containers)[number];
type Starts<Input> = ReadonlyMap<Container, StartTask<Input>>;

interface Reconfiguration {
  readonly spec: ComputeResourceConfigSpec;
  readonly modify: boolean;
}

/** Tasks on folders, datacenters, compute resources, pools and vApps: what the center does without asking a host. */
export class ContainerWork {
  readonly steps: MachineSteps;
  readonly #core: CenterCore;
  readonly #rename: Starts<{ readonly newName: string }>;
  readonly #destroy: Starts<Record<string, never>>;
  readonly #moveInto: StartTask<{ readonly list: readonly string[] }>;
  readonly #unregisterFolder: StartTask<Record<string, never>>;
  readonly #unregisterVApp: StartTask<Record<string, never>>;
  readonly #reconfigureDatacenter: StartTask<{ readonly spec: DatacenterConfigSpec; readonly modify: boolean }>;
  readonly #reconfigureCompute: StartTask<Reconfiguration>;
  readonly #reconfigureCluster: StartTask<Reconfiguration>;

  private constructor(core: CenterCore, forwarding: Forwarding, tasks: InventoryTasks) {
    this.#core = core;
    this.steps = new MachineSteps(core, forwarding);
    const { steps } = this;
    const each = <Input>(start: (type: Container) => StartTask<Input>): Starts<Input> =>
      new Map(containers.map((type) => [type, start(type)]));
    this.#rename = each((type) =>
      tasks.define(`${type}.rename`, {
        method: 'Rename_Task',
        change: (edit, task, { newName }) =>
          rename(edit, { value: entityValue(task.entity), newName, post: byTask(task) }),
      }),
    );
    this.#destroy = each((type) =>
      tasks.define(`${type}.destroy`, {
        method: 'Destroy_Task',
        before: async (task, _, again) => {
          const value = entityValue(task.entity);
          if (type !== 'ResourcePool') await steps.destroy(task, machinesIn(core.inventory, value), { again });
        },
        change: (edit, task) => destroy(edit, { value: entityValue(task.entity), post: byTask(task) }),
      }),
    );
    const unregister = (kind: string, method: 'UnregisterAndDestroy_Task' | 'unregisterVApp_Task') =>
      tasks.define<Record<string, never>>(kind, {
        method,
        before: (task) => steps.unregister(task, machinesIn(core.inventory, entityValue(task.entity))),
        change: (edit, task) => destroy(edit, { value: entityValue(task.entity), post: byTask(task) }),
      });
    this.#unregisterFolder = unregister('Folder.unregisterAndDestroy', 'UnregisterAndDestroy_Task');
    this.#unregisterVApp = unregister('VirtualApp.unregister', 'unregisterVApp_Task');
    this.#moveInto = tasks.define('Folder.moveInto', {
      method: 'MoveIntoFolder_Task',
      change: (edit, task, { list }) =>
        moveIntoFolder(core, edit, { folder: entityValue(task.entity), entities: list }),
      after: ({ list }) => {
        for (const value of list) core.hosts.link(value)?.placeChanged();
      },
    });
    this.#reconfigureDatacenter = tasks.define('Datacenter.reconfigure', {
      method: 'ReconfigureDatacenter_Task',
      change: (edit, task, { spec, modify }) => {
        const before = edit.find(entityValue(task.entity));
        if (before?.type !== 'Datacenter') return;
        const { _typeName: _, ...members } = spec as DatacenterConfigSpec & { _typeName?: string };
        const configuration = { ...(modify ? before.configuration : {}), ...members };
        edit.put({ ...before, configuration: data('DatacenterConfigInfo', configuration) });
      },
    });
    const reconfigure = (kind: string, method: 'ReconfigureComputeResource_Task' | 'ReconfigureCluster_Task') =>
      tasks.define<Reconfiguration>(kind, {
        method,
        change: (edit, task, { spec, modify }) => {
          const before = edit.find(entityValue(task.entity));
          if (before?.type === 'ComputeResource') {
            edit.put({
              ...before,
              configuration: computeConfiguration(modify ? before.configuration : undefined, spec),
            });
          } else if (before?.type === 'ClusterComputeResource') {
            reconfigureCluster(edit, before, { spec, modify, post: byTask(task) });
          }
        },
      });
    this.#reconfigureCompute = reconfigure('ComputeResource.reconfigureEx', 'ReconfigureComputeResource_Task');
    this.#reconfigureCluster = reconfigure('ClusterComputeResource.reconfigure', 'ReconfigureCluster_Task');
  }

  static async open(core: CenterCore, forwarding: Forwarding): Promise<ContainerWork> {
    return new ContainerWork(core, forwarding, await InventoryTasks.open(core));
  }

  /** ManagedEntity's methods of a type that the center alone has. */
  entityMethods(type: Container) {
    const scope = privilegeScope(this.#core);
    return {
      Rename_Task: (call: Call, { newName }: { readonly newName: string }): Task => {
        requireForRename(scope, call, call.self.ref);
        entityName(newName);
        return started(this.#rename, type)(call, { input: { newName } });
      },
      Destroy_Task: (call: Call): Task => {
        requireForDestroy(scope, call, call.self.ref);
        this.#checkDestroyable(call);
        return started(this.#destroy, type)(call, { input: {} });
      },
      Reload: () => {},
    };
  }

  moveIntoFolder(call: Call, list: readonly ManagedObjectReference[]): Task {
    requireForMoveIntoFolder(privilegeScope(this.#core), call, { folder: call.self.ref, entities: list });
    return this.#moveInto(call, { input: { list: list.map(({ value }) => value) } });
  }

  unregisterFolder(call: Call): Task {
    const document = this.#core.inventory.find(call.self.ref.value);
    if (document?.type !== 'Folder' || document.fixed === true || !document.childType.includes('VirtualMachine'))
      throw fault('NotSupported', {}, 'Only a folder of machines that somebody made is unregistered.');
    return this.#unregisterFolder(call, { input: {} });
  }

  unregisterVApp(call: Call): Task {
    return this.#unregisterVApp(call, { input: {} });
  }

  reconfigureDatacenter(call: Call, spec: DatacenterConfigSpec, modify: boolean): Task {
    return this.#reconfigureDatacenter(call, { input: { spec, modify } });
  }

  reconfigureCompute(call: Call, spec: ComputeResourceConfigSpec, modify: boolean): Task {
    return this.#reconfigureCompute(call, { input: { spec, modify } });
  }

  reconfigureCluster(call: Call, spec: ClusterConfigSpecEx, modify: boolean): Task {
    return this.#reconfigureCluster(call, { input: { spec, modify } });
  }

  /** What will not go is told at once; it is looked at again as it goes. */
  #checkDestroyable(call: Call): void {
    const { inventory } = this.#core;
    const document = inventory.find(call.self.ref.value);
    if (document === undefined) return;
    checkDestroyable(inventory, document);
    if (document.type !== 'ResourcePool') this.steps.checkOff(machinesIn(inventory, document.value));
  }
}

function started<Input>(starts: Starts<Input>, type: Container): StartTask<Input> {
  const start = starts.get(type);
  if (start === undefined) throw new Error(`no tasks of ${type}`);
  return start;
}

function entityValue(entity: ManagedObjectReference | undefined): string {
  return entity?.value ?? '';
}
