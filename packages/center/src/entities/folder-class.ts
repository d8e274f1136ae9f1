import type { ManagedObjectClass } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { referenceOf } from '../inventory/entity-document.ts';
import { entityBase } from './entity-lists.ts';

export function folderClass(core: CenterCore): ManagedObjectClass<'Folder'> {
  return {
    type: 'Folder',
    ...entityBase(core),
    derived: {
      childEntity: { from: [], compute: (self) => core.inventory.children(self.ref.value).map(referenceOf) },
    },
    methods: {},
  };
}
