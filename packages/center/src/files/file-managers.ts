import { ovfExportOptions, ovfImportOptions } from '@hypostyle/services';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { services } from '../services.ts';
import { fileMethods } from './file-methods.ts';
import { ovfManagerClass } from './ovf-manager.ts';

/** Adds the managers of files, disks and packages. */
export function addFileManagers(core: CenterCore, forwarding: Forwarding): void {
  const { fileManager, virtualDiskManager, ovfManager } = services;
  core.registry.commit((draft) => {
    const files = fileMethods(core, forwarding, 'FileManager', 'fileManager');
    draft.add({ type: 'FileManager', methods: files }, fileManager.value, {});
    const disks = fileMethods(core, forwarding, 'VirtualDiskManager', 'virtualDiskManager');
    draft.add({ type: 'VirtualDiskManager', methods: disks }, virtualDiskManager.value, {});
    draft.add(ovfManagerClass(core), ovfManager.value, {
      ovfImportOption: ovfImportOptions,
      ovfExportOption: ovfExportOptions,
    });
  });
}
