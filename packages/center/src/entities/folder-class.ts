import { type Call, fault, type ManagedObjectClass } from '@hypostyle/vim';
import { byCall } from '../containers/acting.ts';
import { createCluster, createDatacenter, createFolder } from '../containers/folder-children.ts';
import { isShown, referenceOf } from '../inventory/entity-document.ts';
import { joiningMethodsOfFolder } from '../joining/joining-methods.ts';
import { type MachineWork, machineMethodsOfFolder } from '../machines/machine-methods.ts';
import { entityClass } from './entity-class.ts';
import type { EntityParts } from './entity-parts.ts';

export function folderClass(parts: EntityParts, work: MachineWork): ManagedObjectClass<'Folder'> {
  const { core, containers } = parts;
  const { inventory } = core;
  const shown = (value: string) => [...inventory.children(value).filter(isShown), ...inventory.vAppsIn(value)];
  const cluster = (call: Call, name: string, spec: Parameters<typeof createCluster>[1]['spec']) => {
    const post = byCall(core, call);
    return inventory.edit((edit) => createCluster(edit, { folder: call.self.ref.value, name, spec, post }));
  };
  return entityClass(parts, 'Folder', {
    derived: { childEntity: { from: [], compute: (self) => shown(self.ref.value).map(referenceOf) } },
    methods: {
      ...containers.entityMethods('Folder'),
      CreateFolder: (call, { name }) =>
        inventory.edit((edit) => createFolder(edit, { folder: call.self.ref.value, name })),
      CreateDatacenter: (call, { name }) => {
        const post = byCall(core, call);
        return inventory.edit((edit) => createDatacenter(edit, { folder: call.self.ref.value, name, post }));
      },
      CreateCluster: (call, { name, spec }) => cluster(call, name, spec),
      CreateClusterEx: (call, { name, spec }) => cluster(call, name, spec),
      CreateStoragePod: () => {
        throw fault('NotSupported', {}, 'There are no datastore clusters here.');
      },
      MoveIntoFolder_Task: (call, { list }) => containers.moveIntoFolder(call, list),
      UnregisterAndDestroy_Task: (call) => containers.unregisterFolder(call),
      ...machineMethodsOfFolder(work),
      ...joiningMethodsOfFolder(core),
    },
  });
}
