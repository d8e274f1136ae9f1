import {
  type ImportSpec,
  isData,
  type ManagedObjectReference,
  type VirtualMachineCloneSpec,
  type VirtualMachineConfigSpec,
  type VirtualMachineInstantCloneSpec,
  type VirtualMachinePowerState,
  type VirtualMachineRelocateSpec,
} from '@hypostyle/vim';
import { requireForDevice } from './device-privileges.ts';
import { requireForPool } from './entity-privileges.ts';
import { type Caller, datastoreOf, type PrivilegeScope, requirePrivilege } from './privilege-scope.ts';
import { configOf, devicesOf, requireForChange, requireForNew } from './reconfigure-privileges.ts';

/** Where a machine comes to: a folder, and a pool or vApp. */
export interface MachinePlace {
  readonly folder: ManagedObjectReference;
  readonly pool: ManagedObjectReference;
}

/** Checks what making a machine needs on the pool, and on the datastores and networks that its spec names. */
export function requireForCreate(
  scope: PrivilegeScope,
  caller: Caller,
  { folder, pool }: MachinePlace,
  spec: VirtualMachineConfigSpec,
): void {
  requireForPool(scope, caller, pool);
  const path = spec.files?.vmPathName;
  if (path !== undefined && path !== '')
    requirePrivilege(scope, caller, datastoreOf(scope, path, folder), 'Datastore.AllocateSpace');
  requireForNew(scope, caller, folder, spec);
}

/** Checks what registering a machine needs beside its own privilege. */
export function requireForRegister(
  scope: PrivilegeScope,
  caller: Caller,
  { folder, pool }: { readonly folder: ManagedObjectReference; readonly pool: ManagedObjectReference | undefined },
  path: string,
): void {
  // A template has no pool.
  if (pool !== undefined) requireForPool(scope, caller, pool);
  requirePrivilege(scope, caller, datastoreOf(scope, path, folder), 'Datastore.Browse');
}

/** Checks what importing machines and vApps needs, of all that the spec holds. */
export function requireForImport(scope: PrivilegeScope, caller: Caller, place: MachinePlace, spec: ImportSpec): void {
  if (isData('VirtualMachineImportSpec', spec)) {
    requireForCreate(scope, caller, { ...place, pool: spec.resPoolEntity ?? place.pool }, spec.configSpec);
  } else if (isData('VirtualAppImportSpec', spec)) {
    requirePrivilege(scope, caller, place.pool, 'Resource.AssignVAppToPool');
    for (const child of spec.child ?? []) {
      // What comes into the new vApp comes by the right to import it.
      if (isData('VirtualMachineImportSpec', child)) requireForNew(scope, caller, place.folder, child.configSpec);
      else requireForImport(scope, caller, place, child);
    }
  }
}

/** Checks what VirtualMachine.CloneVM_Task needs: on the source, the folder, the pool, datastores and networks. */
export function requireForClone(
  scope: PrivilegeScope,
  caller: Caller,
  source: ManagedObjectReference,
  { folder, spec }: { readonly folder: ManagedObjectReference; readonly spec: VirtualMachineCloneSpec },
): void {
  const fromTemplate = configOf(scope, source)?.template === true;
  const kind = fromTemplate
    ? spec.template
      ? 'CloneTemplate'
      : 'DeployTemplate'
    : spec.template
      ? 'CreateTemplateFromVM'
      : 'Clone';
  requirePrivilege(scope, caller, source, `VirtualMachine.Provisioning.${kind}`);
  if (spec.customization !== undefined)
    requirePrivilege(scope, caller, source, 'VirtualMachine.Provisioning.Customize');
  requirePrivilege(scope, caller, folder, 'VirtualMachine.Inventory.CreateFromExisting');
  const pool = spec.location.pool ?? resourcePoolOf(scope, source);
  if (!spec.template && pool !== undefined) requireForPool(scope, caller, pool);
  requireForDatastores(scope, caller, source, { location: spec.location, always: true });
  const clone = { ...devicesOf(scope, source), object: folder };
  for (const change of spec.location.deviceChange ?? []) requireForDevice(scope, caller, clone, change);
  if (spec.config !== undefined) requireForChange(scope, caller, clone, spec.config);
}

/** Checks what VirtualMachine.InstantClone_Task needs, beside Provisioning.Clone, which the interface names. */
export function requireForInstantClone(
  scope: PrivilegeScope,
  caller: Caller,
  source: ManagedObjectReference,
  { folder, spec }: { readonly folder: ManagedObjectReference; readonly spec: VirtualMachineInstantCloneSpec },
): void {
  const { location } = spec;
  requirePrivilege(scope, caller, source, 'VirtualMachine.Provisioning.Clone');
  requirePrivilege(scope, caller, source, 'VirtualMachine.Interact.PowerOn');
  requirePrivilege(scope, caller, folder, 'VirtualMachine.Inventory.CreateFromExisting');
  const pool = location.pool ?? resourcePoolOf(scope, source);
  if (pool !== undefined) requireForPool(scope, caller, pool);
  requireForDatastores(scope, caller, source, { location, always: true });
  const clone = { ...devicesOf(scope, source), object: folder };
  for (const change of location.deviceChange ?? []) requireForDevice(scope, caller, clone, change);
}

/** Checks what VirtualMachine.RelocateVM_Task needs: on the machine, and on all that it comes to. */
export function requireForRelocate(
  scope: PrivilegeScope,
  caller: Caller,
  machine: ManagedObjectReference,
  spec: VirtualMachineRelocateSpec,
): void {
  requireForMigrate(scope, caller, machine, { pool: spec.pool });
  requireForDatastores(scope, caller, machine, { location: spec, always: false });
  const folder = scope.registry.get(machine)?.value('parent') as ManagedObjectReference | undefined;
  if (spec.folder !== undefined && spec.folder.value !== folder?.value) {
    for (const each of [machine, folder, spec.folder]) {
      if (each !== undefined) requirePrivilege(scope, caller, each, 'VirtualMachine.Inventory.Move');
    }
  }
  for (const change of spec.deviceChange ?? []) requireForDevice(scope, caller, devicesOf(scope, machine), change);
}

/** Checks what VirtualMachine.MigrateVM_Task needs: hot or cold as the machine is, and the pool when it changes. */
export function requireForMigrate(
  scope: PrivilegeScope,
  caller: Caller,
  machine: ManagedObjectReference,
  { pool }: { readonly pool: ManagedObjectReference | undefined },
): void {
  const runtime = scope.registry.get(machine)?.value('runtime') as
    | { readonly powerState?: VirtualMachinePowerState }
    | undefined;
  const hot = runtime?.powerState === 'poweredOn';
  requirePrivilege(scope, caller, machine, hot ? 'Resource.HotMigrate' : 'Resource.ColdMigrate');
  if (pool !== undefined && pool.value !== resourcePoolOf(scope, machine)?.value) requireForPool(scope, caller, pool);
}

/** Space on every datastore that is new to a machine's files; for a clone, on all that it lies on. */
function requireForDatastores(
  scope: PrivilegeScope,
  caller: Caller,
  machine: ManagedObjectReference,
  { location, always }: { readonly location: VirtualMachineRelocateSpec; readonly always: boolean },
): void {
  const own = (scope.registry.get(machine)?.value('datastore') ?? []) as readonly ManagedObjectReference[];
  const named = [location.datastore, ...(location.disk ?? []).map(({ datastore }) => datastore)].filter(
    (ref) => ref !== undefined,
  );
  const wanted = always && location.datastore === undefined ? [...own, ...named] : named;
  const needed = always ? wanted : wanted.filter(({ value }) => own.every((ref) => ref.value !== value));
  for (const ref of new Map(needed.map((each) => [each.value, each])).values())
    requirePrivilege(scope, caller, ref, 'Datastore.AllocateSpace');
}

function resourcePoolOf(
  { registry }: PrivilegeScope,
  machine: ManagedObjectReference,
): ManagedObjectReference | undefined {
  return registry.get(machine)?.value('resourcePool') as ManagedObjectReference | undefined;
}
