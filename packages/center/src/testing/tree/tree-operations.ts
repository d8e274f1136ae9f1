import { smallMachine } from '@hypostyle/host/testing';
import { data, type ManagedObjectReference } from '@hypostyle/vim';
import type { TestCenter } from '../center-fixture.ts';
import { Refused, type TreeModel } from './tree-model.ts';
import type { Holding, NodeKind, TreeNode } from './tree-node.ts';

/** What is drawn of an operation: each picks among what there is. */
export interface Draw {
  readonly operation: number;
  readonly one: number;
  readonly other: number;
  readonly name: number;
}

export interface Operation {
  readonly text: string;
  /** Does it to the model, and says what is to be done once the center answered. Throws Refused. */
  model(): ((result: unknown) => void) | undefined;
  call(): Promise<unknown>;
}

const names = ['a', 'b', 'c', 'd/e'];
const mostMachines = 5;
const holdings: readonly [member: string, Holding][] = [
  ['vmFolder', 'VirtualMachine'],
  ['hostFolder', 'ComputeResource'],
  ['datastoreFolder', 'Datastore'],
  ['networkFolder', 'Network'],
];

type Reference = ManagedObjectReference;

function reference({ kind, value }: TreeNode): Reference {
  return { _typeName: 'ManagedObjectReference', type: kind, value };
}

function pick<T>(list: readonly T[], at: number): T | undefined {
  return list[at % Math.max(1, list.length)];
}

function shownName(name: string): string {
  return name.replaceAll('/', '%2f');
}

/** Operations on the tree of a center, as a model has it. */
export class TreeOperations {
  readonly #model: TreeModel;
  readonly #center: () => TestCenter;

  constructor(model: TreeModel, center: () => TestCenter) {
    this.#model = model;
    this.#center = center;
  }

  /** Undefined where there is nothing to do it to. */
  operation({ operation, one, other, name: drawn }: Draw): Operation | undefined {
    const model = this.#model;
    const name = pick(names, drawn) ?? 'a';
    const folders = model.all('Folder');
    const pools = model.all('ResourcePool', 'VirtualApp');
    const anything = model.all();
    const folder = pick(folders, one);
    const pool = pick(pools, one);
    const entity = pick(anything, other);
    if (folder === undefined || pool === undefined || entity === undefined) return undefined;
    const operations: readonly (() => Operation | undefined)[] = [
      () => this.#newFolder(folder, name),
      () => this.#newDatacenter(folder, name),
      () =>
        this.#newCluster(
          pick(
            folders.filter(({ holds }) => holds !== 'Datacenter'),
            one,
          ) ?? folder,
          name,
        ),
      () => this.#newPool(pool, name),
      () => this.#newVApp(pool, pick(this.#holding('VirtualMachine'), other), name),
      () => this.#newMachine(pick(this.#holding('VirtualMachine'), one), pick(model.all('ResourcePool'), other), name),
      () => this.#newMachineOfVApp(pick(model.all('VirtualApp'), one), name),
      () => this.#rename(entity, name),
      () => this.#destroy(pick(this.#destroyable(), other) ?? entity),
      () => this.#destroy(pick(pools, other) ?? entity),
      () => this.#moveIntoFolder(entity, folder),
      () => this.#moveIntoFolder(entity, pick(this.#fitting(entity), one) ?? folder),
      () => this.#moveIntoPool(entity, pool),
      () => this.#moveIntoPool(pick(model.all('VirtualMachine', 'VirtualApp', 'ResourcePool'), other) ?? entity, pool),
      () => this.#maintenance(),
      () => this.#hostIntoCluster(pick(model.all('ClusterComputeResource'), one)),
    ];
    return pick(operations, operation)?.();
  }

  #holding(holding: Holding): TreeNode[] {
    return this.#model.all('Folder').filter(({ holds }) => holds === holding);
  }

  /** Not what ends it all too soon. */
  #destroyable(): TreeNode[] {
    return this.#model.all().filter(({ kind }) => kind !== 'HostSystem' && kind !== 'ComputeResource');
  }

  #fitting({ kind, holds }: TreeNode): TreeNode[] {
    if (kind === 'VirtualMachine' || kind === 'VirtualApp') return this.#holding('VirtualMachine');
    if (kind === 'Folder' && holds !== undefined) return this.#holding(holds);
    return this.#holding(kind === 'Datacenter' ? 'Datacenter' : 'ComputeResource');
  }

  #task(self: TreeNode, method: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return this.#center().task(reference(self), method, args);
  }

  #call(self: TreeNode, method: string, args: Record<string, unknown>): Promise<unknown> {
    return this.#center().call(reference(self), method, args);
  }

  #value(result: unknown, property: string): string {
    const { registry } = this.#center().center;
    const ref = registry.get(result as Reference)?.value(property) as Reference | undefined;
    if (ref === undefined) throw new Error(`${(result as Reference).value} has no ${property}`);
    return ref.value;
  }

  #newFolder(folder: TreeNode, written: string): Operation {
    const name = shownName(written);
    return {
      text: `CreateFolder ${written} in ${folder.value}`,
      model: () => {
        this.#model.checkName({ kind: 'Folder', name, parent: folder.value });
        const { holds } = folder;
        return (result) =>
          this.#model.add({
            kind: 'Folder',
            value: (result as Reference).value,
            name,
            parent: folder.value,
            ...(holds && { holds }),
          });
      },
      call: () => this.#call(folder, 'CreateFolder', { name: written }),
    };
  }

  #newDatacenter(folder: TreeNode, written: string): Operation {
    const name = shownName(written);
    return {
      text: `CreateDatacenter ${written} in ${folder.value}`,
      model: () => {
        if (folder.holds !== 'Datacenter') throw new Refused('NotSupported');
        this.#model.checkName({ kind: 'Datacenter', name, parent: folder.value });
        return (result) => this.addDatacenter(result as Reference, name, folder.value);
      },
      call: () => this.#call(folder, 'CreateDatacenter', { name: written }),
    };
  }

  addDatacenter(ref: Reference, name: string, parent: string): void {
    this.#model.add({ kind: 'Datacenter', value: ref.value, name, parent });
    for (const [member, holds] of holdings) {
      const value = this.#value(ref, member);
      this.#model.add({
        kind: 'Folder',
        value,
        name: member.replace('Folder', ''),
        parent: ref.value,
        holds,
        fixed: true,
      });
    }
  }

  #newCluster(folder: TreeNode, written: string): Operation {
    const name = shownName(written);
    return {
      text: `CreateClusterEx ${written} in ${folder.value}`,
      model: () => {
        if (folder.holds !== 'ComputeResource') throw new Refused('NotSupported');
        this.#model.checkName({ kind: 'ClusterComputeResource', name, parent: folder.value });
        return (result) => this.addCompute('ClusterComputeResource', result as Reference, name, folder.value);
      },
      call: () => this.#call(folder, 'CreateClusterEx', { name: written, spec: data('ClusterConfigSpecEx', {}) }),
    };
  }

  addCompute(kind: NodeKind, ref: Reference, name: string, parent: string): void {
    this.#addCompute({ kind, name, parent }, ref.value, this.#value(ref, 'resourcePool'));
  }

  #addCompute(node: { kind: NodeKind; name: string; parent: string }, value: string, root: string): void {
    this.#model.add({ ...node, value, root });
    const pool = { value: root, name: 'Resources', parent: value, owner: value };
    this.#model.add({ kind: 'ResourcePool', ...pool, fixed: true });
  }

  #newPool(parent: TreeNode, written: string): Operation {
    const name = shownName(written);
    const allocation = data('ResourceAllocationInfo', {});
    const spec = data('ResourceConfigSpec', { cpuAllocation: allocation, memoryAllocation: allocation });
    const { owner } = parent;
    return {
      text: `CreateResourcePool ${written} in ${parent.value}`,
      model: () => {
        this.#model.checkName({ kind: 'ResourcePool', name, parent: parent.value });
        return (result) =>
          this.#model.add({
            kind: 'ResourcePool',
            value: (result as Reference).value,
            name,
            parent: parent.value,
            ...(owner && { owner }),
          });
      },
      call: () => this.#call(parent, 'CreateResourcePool', { name: written, spec }),
    };
  }

  #newVApp(parent: TreeNode, vmFolder: TreeNode | undefined, written: string): Operation | undefined {
    if (vmFolder === undefined) return undefined;
    const name = shownName(written);
    const folder = parent.kind === 'VirtualApp' ? undefined : vmFolder.value;
    const allocation = data('ResourceAllocationInfo', {});
    const args = {
      name: written,
      resSpec: data('ResourceConfigSpec', { cpuAllocation: allocation, memoryAllocation: allocation }),
      configSpec: data('VAppConfigSpec', {}),
      ...(folder === undefined ? {} : { vmFolder: reference(vmFolder) }),
    };
    const { owner } = parent;
    return {
      text: `CreateVApp ${written} in ${parent.value}, folder ${folder}`,
      model: () => {
        if (folder !== undefined && this.#model.datacenterOf(vmFolder) !== this.#model.datacenterOf(parent))
          throw new Refused('InvalidArgument');
        const node = { kind: 'VirtualApp', name, parent: parent.value, folder } as const;
        this.#model.checkName(node);
        return (result) => this.#model.add({ ...node, value: (result as Reference).value, ...(owner && { owner }) });
      },
      call: () => this.#call(parent, 'CreateVApp', args),
    };
  }

  #newMachine(folder: TreeNode | undefined, pool: TreeNode | undefined, written: string): Operation | undefined {
    if (folder === undefined || pool === undefined) return undefined;
    if (this.#model.all('VirtualMachine').length >= mostMachines) return undefined;
    const name = shownName(written);
    const { config } = smallMachine(written) as { config: object };
    return {
      text: `CreateVM_Task ${written} in ${folder.value}, pool ${pool.value}`,
      model: () => {
        const [host] = this.#model.all('HostSystem');
        // The name of a datastore means something in the folder's datacenter.
        if (this.#model.datacenterOf(host ?? folder) !== this.#model.datacenterOf(folder))
          throw new Refused('InvalidDatastore');
        if (this.#model.datacenterOf(folder) !== this.#model.datacenterOf(pool)) throw new Refused('InvalidArgument');
        if (host?.parent !== pool.owner || this.#model.inMaintenance) throw new Refused('InvalidState');
        const node = { kind: 'VirtualMachine', name, parent: folder.value, pool: pool.value } as const;
        this.#model.checkName(node);
        return (result) => this.#model.add({ ...node, value: (result as Reference).value });
      },
      call: () => this.#task(folder, 'CreateVM_Task', { config, pool: reference(pool) }),
    };
  }

  #newMachineOfVApp(pool: TreeNode | undefined, written: string): Operation | undefined {
    if (pool === undefined || this.#model.all('VirtualMachine').length >= mostMachines) return undefined;
    const [host] = this.#model.all('HostSystem');
    if (host?.parent !== pool.owner || this.#model.inMaintenance) return undefined;
    const name = shownName(written);
    const { config } = smallMachine(written) as { config: object };
    return {
      text: `CreateChildVM_Task ${written} in ${pool.value}`,
      model: () => {
        const node = { kind: 'VirtualMachine', name, pool: pool.value } as const;
        this.#model.checkName(node);
        return (result) => this.#model.add({ ...node, value: (result as Reference).value });
      },
      call: () => this.#task(pool, 'CreateChildVM_Task', { config }),
    };
  }

  #rename(entity: TreeNode, written: string): Operation {
    return {
      text: `Rename_Task of ${entity.value} to ${written}`,
      model: () => {
        this.#model.rename(entity, shownName(written));
        return undefined;
      },
      call: () => this.#task(entity, 'Rename_Task', { newName: written }),
    };
  }

  #destroy(entity: TreeNode): Operation {
    return {
      text: `Destroy_Task of ${entity.value}`,
      model: () => {
        this.#model.destroy(entity);
        return undefined;
      },
      call: () => this.#task(entity, 'Destroy_Task'),
    };
  }

  #moveIntoFolder(entity: TreeNode, folder: TreeNode): Operation {
    const model = this.#model;
    const leaves = entity.kind === 'HostSystem' && model.get(entity.parent).kind === 'ClusterComputeResource';
    return {
      text: `MoveIntoFolder_Task of ${entity.value} into ${folder.value}`,
      model: () => {
        if (leaves && folder.holds === 'ComputeResource') return this.#leaveCluster(entity, folder);
        model.moveIntoFolder(entity, folder);
        return undefined;
      },
      call: () => this.#task(folder, 'MoveIntoFolder_Task', { list: [reference(entity)] }),
    };
  }

  #leaveCluster(host: TreeNode, folder: TreeNode): () => void {
    const model = this.#model;
    if (!model.inMaintenance) throw new Refused('InvalidState');
    if (model.datacenterOf(host) !== model.datacenterOf(folder)) throw new Refused('InvalidArgument');
    model.checkName({ kind: 'ComputeResource', name: host.name, parent: folder.value });
    this.#addCompute({ kind: 'ComputeResource', name: host.name, parent: folder.value }, 'new compute', 'new pool');
    host.parent = 'new compute';
    model.bringMachines(model.get('new pool'));
    return () => {
      const compute = this.#value(reference(host), 'parent');
      const ref = { _typeName: 'ManagedObjectReference', type: 'ComputeResource', value: compute } as const;
      model.becomes('new pool', this.#value(ref, 'resourcePool'));
      model.becomes('new compute', compute);
    };
  }

  #moveIntoPool(entity: TreeNode, pool: TreeNode): Operation {
    return {
      text: `MoveIntoResourcePool of ${entity.value} into ${pool.value}`,
      model: () => {
        this.#model.moveIntoPool(entity, pool);
        return undefined;
      },
      call: () => this.#call(pool, 'MoveIntoResourcePool', { list: [reference(entity)] }),
    };
  }

  #maintenance(): Operation | undefined {
    const model = this.#model;
    const [host] = model.all('HostSystem');
    if (host === undefined) return undefined;
    const method = model.inMaintenance ? 'ExitMaintenanceMode_Task' : 'EnterMaintenanceMode_Task';
    return {
      text: method,
      model: () => () => {
        model.inMaintenance = !model.inMaintenance;
      },
      call: () => this.#task(host, method, { timeout: 0 }),
    };
  }

  #hostIntoCluster(cluster: TreeNode | undefined): Operation | undefined {
    const model = this.#model;
    const [host] = model.all('HostSystem');
    if (host === undefined || cluster === undefined) return undefined;
    return {
      text: `MoveHostInto_Task into ${cluster.value}`,
      model: () => {
        const before = model.get(host.parent);
        if (before.value === cluster.value) return undefined;
        if (before.kind === 'ClusterComputeResource' && !model.inMaintenance) throw new Refused('InvalidState');
        if (model.datacenterOf(before) !== model.datacenterOf(cluster)) throw new Refused('InvalidArgument');
        host.parent = cluster.value;
        model.bringMachines(model.get(cluster.root), before.kind === 'ComputeResource' ? before : undefined);
        return undefined;
      },
      call: () => this.#task(cluster, 'MoveHostInto_Task', { host: reference(host) }),
    };
  }
}
