import { type Call, fault, type ImportSpec, isData, type ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { JoinedLeases } from '../leases/joined-leases.ts';
import type { PoolOperations } from '../pools/pool-operations.ts';
import { type VAppImportInput, vAppImports } from '../vapps/vapp-import.ts';
import { type MachineImportInput, machineImports, type StartImport } from './import-work.ts';
import type { AskedPlace } from './machine-place.ts';

export interface Imports {
  /** ResourcePool.ImportVApp: answers the lease by which the client sends the disks. */
  begin(
    call: Call,
    where: Pick<AskedPlace, 'folder' | 'pool' | 'host'>,
    spec: ImportSpec,
  ): Promise<ManagedObjectReference<'HttpNfcLease'>>;
  readonly leases: JoinedLeases;
}

/** Imports of machines and of vApps: one kind of task, as clients know it. */
export function defineImports(core: CenterCore, forwarding: Forwarding, pools: PoolOperations): Imports {
  const start: StartImport<MachineImportInput | VAppImportInput> = (origin, request) => startTask(origin, request);
  const leases = new JoinedLeases(core, forwarding);
  const machines = machineImports(core, forwarding, start);
  const vApps = vAppImports(core, forwarding, { machines, pools, leases, start });
  const startTask = core.tasks.define<MachineImportInput | VAppImportInput>('ResourcePool.ImportVAppLRO', {
    cancelable: true,
    run: (task, input) => (input.of === 'vApp' ? vApps.run(task, input) : machines.run(task, input)),
    resume: (task, input) => (input.of === 'vApp' ? vApps.resume(task, input) : machines.resume(task, input)),
  });
  return {
    leases,
    begin: async (call, where, spec) => {
      if (isData('VirtualAppImportSpec', spec)) return await vApps.begin(call, where, spec);
      if (!isData('VirtualMachineImportSpec', spec))
        throw fault('InvalidArgument', { invalidProperty: 'spec' }, 'It is of neither a machine nor a vApp.');
      const at = { ...where, pool: spec.resPoolEntity ?? where.pool };
      return await (await machines.begin(call, { spec: spec.configSpec, where: at, session: call.session })).lease;
    },
  };
}
