import type { ManagedObjectReference, VirtualMachineConfigInfo, VirtualMachineRuntimeInfo } from '@hypostyle/vim';
import { type MachineDocument, referenceOf } from '../../inventory/entity-document.ts';
import type { InventoryEdit } from '../../inventory/inventory.ts';
import type { ObjectChange } from '../following/object-updates.ts';
import { bindMachine } from './machine-binding.ts';
import type { MirrorContext, NewMachinesPlace } from './mirror-context.ts';
import { isRunning } from './update-staging.ts';

/** Machines that a host tells of, met under the references that they have at the center. */
export class MachineMeeting {
  readonly #context: MirrorContext;
  /** Machines of the last connection by the host's references. */
  #byHostValue: Map<string | undefined, string> | undefined;

  constructor(context: MirrorContext) {
    this.#context = context;
  }

  /** A connection was made. */
  begin(): void {
    this.#byHostValue = undefined;
  }

  meet({ kind, ref, values }: ObjectChange, staged: StagedMachines, edit: InventoryEdit): void {
    const { inventory } = this.#context.core;
    const { isElsewhere, onDuplicate } = this.#context.options;
    const { host } = this.#context;
    this.#context.told?.add(ref.value);
    const config = values.config as VirtualMachineConfigInfo | undefined;
    const name = values.name as string | undefined;
    const bound = this.#context.references.toCenter(ref);
    if (kind === 'modify' && bound !== undefined) {
      const document = edit.find(bound.value);
      if (document?.type !== 'VirtualMachine') return;
      const instanceUuid = config?.instanceUuid ?? document.instanceUuid;
      const named = { ...document, name: name ?? document.name, instanceUuid };
      const changed = config === undefined ? named : this.#inPool(named, config.template);
      edit.put(changed);
      const [other] = inventory.machinesOfInstance(instanceUuid).filter(({ value }) => value !== document.value);
      if (instanceUuid !== document.instanceUuid && other !== undefined) onDuplicate(changed, other);
      return;
    }
    const instanceUuid = config?.instanceUuid;
    const ofInstance = instanceUuid === undefined ? [] : inventory.machinesOfInstance(instanceUuid);
    const sibling = instanceUuid === undefined ? undefined : staged.byInstance.get(instanceUuid);
    const binding = bindMachine(
      { host, instanceUuid },
      {
        ofValue: this.#machineOfValue(ref.value),
        ofInstance: sibling === undefined ? ofInstance : [...ofInstance, sibling],
        isHeld: (document) => {
          const holder = this.#context.references.toHost(referenceOf(document));
          return holder !== undefined && holder.value !== ref.value;
        },
        isElsewhere,
      },
    );
    if (binding.kind === 'duplicate' && binding.of.host !== host && binding.of.alsoOn === host) {
      // It is on its way between the two: which of them shows it is said by whoever brings it.
      this.#context.references.bind(ref, referenceOf(binding.of));
      return;
    }
    if (binding.kind === 'duplicate' && binding.of.host !== host && this.#isSame(values, binding.of)) {
      // Registered on both: it is one machine, shown on the host that runs it.
      this.#context.references.bind(ref, referenceOf(binding.of));
      if (isRunning(values) && !this.#runs(binding.of))
        edit.put(
          this.#inPool(
            this.#placed({ ...binding.of, name: name ?? binding.of.name, host, hostValue: ref.value }),
            config?.template ?? false,
          ),
        );
      return;
    }
    const expected = staged.expectedAt(config?.files?.vmPathName);
    if (expected !== undefined && binding.kind === 'known') edit.remove(expected.value);
    const before = binding.kind === 'known' ? binding.document : expected;
    const { parent, pool } = expected ?? before ?? firstPlace(this.#context.options.newMachines);
    const placed = this.#placed({
      type: 'VirtualMachine',
      value: before?.value ?? edit.mint('vm-'),
      name: name ?? before?.name ?? ref.value,
      instanceUuid: instanceUuid ?? before?.instanceUuid ?? '',
      host,
      hostValue: ref.value,
      ...(before?.alsoOn === undefined ? {} : { alsoOn: before.alsoOn }),
      ...(parent === undefined ? {} : { parent }),
      ...(pool === undefined ? {} : { pool }),
    });
    const document = this.#inPool(placed, config?.template ?? false);
    if (instanceUuid !== undefined) staged.byInstance.set(instanceUuid, document);
    edit.put(document);
    this.#context.references.bind(ref, referenceOf(document));
    if (binding.kind === 'duplicate') onDuplicate(document, binding.of);
  }

  #machineOfValue(hostValue: string): MachineDocument | undefined {
    this.#byHostValue ??= new Map(
      this.#context.core.inventory
        .machinesOnHost(this.#context.host)
        .map((machine) => [machine.hostValue, machine.value]),
    );
    const value = this.#byHostValue.get(hostValue);
    const document = value === undefined ? undefined : this.#context.core.inventory.find(value);
    return document?.type === 'VirtualMachine' && document.hostValue === hostValue ? document : undefined;
  }

  /** Whether a machine that was told of is another one by its files: the same path on a datastore that both have. */
  #isSame(values: Readonly<Record<string, unknown>>, of: MachineDocument): boolean {
    const object = this.#context.core.registry.get(referenceOf(of));
    const there = object?.value('config') as VirtualMachineConfigInfo | undefined;
    const here = values.config as VirtualMachineConfigInfo | undefined;
    const path = pathInDatastore(here?.files?.vmPathName);
    if (path === undefined || path !== pathInDatastore(there?.files?.vmPathName)) return false;
    const theirs = new Set(((object?.value('datastore') ?? []) as ManagedObjectReference[]).map(({ value }) => value));
    const own = (values.datastore ?? []) as readonly ManagedObjectReference[];
    return own.some((datastore) => theirs.has(this.#context.references.toCenter(datastore)?.value ?? ''));
  }

  /** Whether the host that shows a machine is there and runs it. */
  #runs(document: MachineDocument): boolean {
    const runtime = this.#context.core.registry.get(referenceOf(document))?.value('runtime') as
      | VirtualMachineRuntimeInfo
      | undefined;
    return runtime?.powerState === 'poweredOn' && runtime.connectionState === 'connected';
  }

  /** A template is in no pool; what is none any more comes to the first one until it is told otherwise. */
  #inPool(document: MachineDocument, template: boolean): MachineDocument {
    if (template) {
      const { pool: _pool, ...rest } = document;
      return rest;
    }
    return document.pool === undefined ? this.#placed(document) : document;
  }

  /** The machine in a folder of its datacenter and in a pool of its compute resource. */
  #placed(document: MachineDocument): MachineDocument {
    const { inventory } = this.#context.core;
    const compute = inventory.above(this.#context.host, ['ComputeResource', 'ClusterComputeResource']);
    const datacenter = inventory.above(this.#context.host, ['Datacenter']);
    if (compute === undefined || datacenter === undefined) return document;
    const pool = document.pool === undefined ? undefined : inventory.find(document.pool);
    const inPlace = (pool?.type === 'ResourcePool' || pool?.type === 'VirtualApp') && pool.owner === compute.value;
    if (inPlace && pool.type === 'VirtualApp') return document;
    const at = document.parent === undefined ? undefined : inventory.above(document.parent, ['Datacenter']);
    return {
      ...document,
      pool: inPlace ? pool.value : compute.pool,
      parent: at?.value === datacenter.value && document.parent !== undefined ? document.parent : datacenter.vmFolder,
    };
  }
}

/** Machines met in one update, and those of the host that are expected at a path. */
export class StagedMachines {
  readonly byInstance = new Map<string, MachineDocument>();
  readonly #expected: readonly MachineDocument[];

  constructor(machines: readonly MachineDocument[]) {
    this.#expected = machines.filter((machine) => machine.expectedPath !== undefined);
  }

  expectedAt(path: string | undefined): MachineDocument | undefined {
    return path === undefined ? undefined : this.#expected.find(({ expectedPath }) => expectedPath === path);
  }
}

/** A path without the datastore's name, which is each host's own. */
function pathInDatastore(path: string | undefined): string | undefined {
  return path?.replace(/^\[[^\]]*\] ?/, '');
}

function firstPlace({ folder, pool }: NewMachinesPlace = {}): { readonly parent?: string; readonly pool?: string } {
  return { ...(folder === undefined ? {} : { parent: folder }), ...(pool === undefined ? {} : { pool }) };
}
