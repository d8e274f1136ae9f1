import type { DescribedMember, DescribedVApp } from '@hypostyle/services';
import { data, type ManagedObjectReference, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { PoolDocument } from '../inventory/entity-document.ts';
import { entitiesOf } from './vapp-entities.ts';

/** A vApp as its descriptor tells it, with all that is in it. */
export function describedVApp(core: CenterCore, vApp: PoolDocument): DescribedVApp {
  return {
    name: vApp.name,
    config: vApp.vApp?.config ?? data('VAppConfigInfo', {} as never),
    resources: vApp.resources,
    members: entitiesOf(core.inventory, vApp).flatMap(({ key, ...entity }): DescribedMember[] => {
      const said = data('VAppEntityConfigInfo', entity);
      const document = core.inventory.find(key.value);
      if (document?.type === 'VirtualApp')
        return [
          { name: document.name, value: key.value, entity: said, content: { vApp: describedVApp(core, document) } },
        ];
      const machine = configOf(core, key);
      if (document?.type !== 'VirtualMachine' || machine === undefined) return [];
      return [{ name: document.name, value: key.value, entity: said, content: { machine } }];
    }),
  };
}

function configOf({ registry }: CenterCore, ref: ManagedObjectReference): VirtualMachineConfigInfo | undefined {
  return registry.get(ref)?.value('config') as VirtualMachineConfigInfo | undefined;
}
