import { requireForPool, requirePrivilege } from '@hypostyle/services';
import { type Call, fault, type ManagedObjectReference, type VirtualMachineRelocateSpec } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type DatastoreDocument, type MachineDocument, referenceOf } from '../inventory/entity-document.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import { choosePlace, type MachinePlace, poolOf } from '../machines/machine-place.ts';

/** Where a machine, or what is made of it, is to come to. */
export interface Target {
  readonly place: MachinePlace;
  /** The datastore of another host that its files come to; undefined where it is to be on its own host. */
  readonly datastore: DatastoreDocument | undefined;
}

/**
 * Understands host, pool and datastore of a spec: what is not said is as the machine has it, where that goes with the
 * rest. Throws what `choosePlace` throws, and InvalidDatastore where the host that is meant has not the machine's own
 * datastore and none is said.
 */
export function targetOf(
  core: CenterCore,
  machine: MachineDocument,
  location: VirtualMachineRelocateSpec,
  folder: ManagedObjectReference | undefined,
): Target {
  const datastores = datastoresIn(location);
  if (location.host !== undefined) core.inventory.get('HostSystem', location.host);
  const own = computeOf(core, machine.host);
  const host = staysOn(core, machine, location) ? machine.host : (location.host?.value ?? hostFor(core, location));
  const compute = host === undefined ? own : computeOf(core, host);
  const samePool = compute?.value === own?.value ? machine.pool : undefined;
  const pool = location.pool ?? { type: 'ResourcePool' as const, value: samePool ?? compute?.pool ?? '' };
  const place = choosePlace(core, {
    folder,
    pool: { ...pool, _typeName: 'ManagedObjectReference' },
    host: host === undefined ? undefined : { _typeName: 'ManagedObjectReference', type: 'HostSystem', value: host },
    datastores,
  });
  if (place.host === machine.host) return { place, datastore: undefined };
  return { place, datastore: farDatastore(core, machine, place.host, location) };
}

/** Whether a spec leaves a machine, or what is made of it, on its host. */
export function staysOn(core: CenterCore, machine: MachineDocument, location: VirtualMachineRelocateSpec): boolean {
  if (location.host !== undefined) return location.host.value === machine.host;
  const owner = location.pool === undefined ? undefined : poolOf(core, location.pool).owner;
  if (owner !== undefined && owner !== computeOf(core, machine.host)?.value) return false;
  return datastoresIn(location).every(({ value }) => core.hosts.shared.hostsOf(value).includes(machine.host));
}

function datastoresIn({ datastore, disk = [] }: VirtualMachineRelocateSpec) {
  return [datastore, ...disk.map((locator) => locator.datastore)].filter((ref) => ref !== undefined);
}

/** Checks the rights on what a machine comes to on another host, whether or not the spec names it. */
export function requireForTarget(
  core: CenterCore,
  call: Call,
  { place, datastore, isTemplate }: { place: MachinePlace; datastore: DatastoreDocument; isTemplate: boolean },
): void {
  const scope = privilegeScope(core);
  const pool = poolOf(core, { type: 'ResourcePool', value: place.pool });
  if (!isTemplate) requireForPool(scope, call, referenceOf(pool));
  requirePrivilege(scope, call, referenceOf(datastore), 'Datastore.AllocateSpace');
}

/** A connected host that has the datastore that is named, where neither host nor pool is. */
function hostFor(core: CenterCore, { pool, datastore }: VirtualMachineRelocateSpec): string | undefined {
  if (pool !== undefined || datastore === undefined) return undefined;
  const having = core.hosts.shared.hostsOf(datastore.value);
  return having.find((host) => core.hosts.link(host)?.connected === true) ?? having[0];
}

function farDatastore(
  core: CenterCore,
  machine: MachineDocument,
  host: string,
  location: VirtualMachineRelocateSpec,
): DatastoreDocument {
  const own = (core.registry.get(referenceOf(machine))?.value('datastore') ??
    []) as ManagedObjectReference<'Datastore'>[];
  const has = (value: string) => core.hosts.shared.hostsOf(value).includes(host);
  const chosen: ManagedObjectReference | undefined = location.datastore ?? own.find(({ value }) => has(value));
  if (chosen === undefined || !has(chosen.value))
    throw fault(
      'InvalidDatastore',
      own[0] === undefined ? {} : { datastore: own[0], name: core.inventory.find(own[0].value)?.name ?? '' },
      'The host that the machine is to come to has not its datastore; say one of that host in spec.datastore.',
    );
  for (const { datastore } of location.disk ?? [])
    if (datastore.value !== chosen.value)
      throw fault('NotSupported', {}, 'What comes to another host comes with all its disks to one datastore there.');
  return core.inventory.get('Datastore', chosen as ManagedObjectReference<'Datastore'>);
}

function computeOf({ inventory }: CenterCore, host: string) {
  return inventory.above(host, ['ComputeResource', 'ClusterComputeResource']);
}
