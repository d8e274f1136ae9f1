import { type Call, fault, type ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type MachineDocument, type PoolDocument, referenceOf } from '../inventory/entity-document.ts';
import type { JoinedLeases } from '../leases/joined-leases.ts';
import { poolAt } from '../pools/pool-tree.ts';
import { membersOf } from './vapp-entities.ts';

/**
 * VirtualApp.ExportVApp: one lease over the exports of all its machines. Throws InvalidPowerState for a machine that is
 * not off, and what its host says.
 */
export async function exportVApp(
  core: CenterCore,
  leases: JoinedLeases,
  call: Call,
): Promise<ManagedObjectReference<'HttpNfcLease'>> {
  const vApp = poolAt(core.inventory, call.self.ref.value);
  const machines = machinesOf(core, vApp, `/${vApp.name}`);
  for (const { machine } of machines) mustBeOff(core, machine);
  const lease = leases.open({ entity: call.self.ref, owner: call.session });
  const realUser = call.session === undefined ? {} : { realUser: call.session.userName };
  try {
    for (const { machine, path } of machines) {
      const { link, ref } = core.hosts.route(referenceOf(machine));
      const one = (await link.call(ref, 'ExportVm', {}, realUser)) as ManagedObjectReference<'HttpNfcLease'>;
      await link.caughtUp();
      lease.add((await link.showLease(one, call.session)) as ManagedObjectReference<'HttpNfcLease'>, path);
    }
    lease.complete();
    return lease.ref;
  } catch (error) {
    await lease.abort(fault('RequestCanceled', {}, `A machine of '${vApp.name}' cannot be exported.`));
    throw error;
  }
}

/** Every machine of a vApp, with the names of the vApps that it is in. */
function machinesOf(core: CenterCore, vApp: PoolDocument, path: string): { machine: MachineDocument; path: string }[] {
  return membersOf(core.inventory, vApp).flatMap(({ value }) => {
    const document = core.inventory.find(value);
    if (document?.type === 'VirtualApp') return machinesOf(core, document, `${path}/${document.name}`);
    return document?.type === 'VirtualMachine' ? [{ machine: document, path }] : [];
  });
}

function mustBeOff({ registry }: CenterCore, machine: MachineDocument): void {
  const state = registry.read<'VirtualMachine', 'runtime'>(
    referenceOf(machine) as ManagedObjectReference<'VirtualMachine'>,
    'runtime',
  )?.powerState;
  if (state === undefined || state === 'poweredOff') return;
  throw fault(
    'InvalidPowerState',
    { requestedState: 'poweredOff', existingState: state },
    `'${machine.name}' is ${state}: a vApp is exported while all of its machines are off.`,
  );
}
