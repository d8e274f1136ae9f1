import type { ManagedObjectClass } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { isShown, referenceOf } from '../inventory/entity-document.ts';
import { joiningMethodsOfFolder } from '../joining/joining-methods.ts';
import { type MachineWork, machineMethodsOfFolder } from '../machines/machine-methods.ts';
import { entityBase } from './entity-lists.ts';

export function folderClass(core: CenterCore, work: MachineWork): ManagedObjectClass<'Folder'> {
  return {
    type: 'Folder',
    ...entityBase(core),
    derived: {
      childEntity: {
        from: [],
        compute: (self) => core.inventory.children(self.ref.value).filter(isShown).map(referenceOf),
      },
    },
    methods: { ...machineMethodsOfFolder(work), ...joiningMethodsOfFolder(core) },
  };
}
