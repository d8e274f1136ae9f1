import { ovfExportOptions, ovfImportOptions } from '@hypostyle/services';
import type { CenterCore } from '../center-core.ts';
import { FarTransfers } from '../far/far-transfers.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { services } from '../services.ts';
import { fileMethods } from './file-methods.ts';
import { ovfManagerClass } from './ovf-manager.ts';

/** Adds the managers of files, disks and packages. */
export function addFileManagers(core: CenterCore, forwarding: Forwarding): void {
  const { fileManager, virtualDiskManager, ovfManager } = services;
  const transfers = new FarTransfers(core, forwarding);
  core.registry.commit((draft) => {
    const files = fileMethods(core, forwarding, 'FileManager', 'fileManager', transfers);
    draft.add({ type: 'FileManager', methods: files }, fileManager.value, {});
    const disks = fileMethods(core, forwarding, 'VirtualDiskManager', 'virtualDiskManager', transfers);
    draft.add({ type: 'VirtualDiskManager', methods: disks }, virtualDiskManager.value, {});
    draft.add(ovfManagerClass(core), ovfManager.value, {
      ovfImportOption: ovfImportOptions,
      ovfExportOption: ovfExportOptions,
    });
  });
}
