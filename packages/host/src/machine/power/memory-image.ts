import { access, stat } from 'node:fs/promises';
import { joinPath, resolveInRoot, splitPath } from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import type { VmxFile } from '../../vmx/vmx-file.ts';
import type { MachineRecord, PowerState } from '../record/machine-record.ts';

/** Key of the `.vmx` that names the memory image of a suspended machine, as VMware has it. */
export const suspendKey = 'checkpoint.vmState';

/** What is to be done when the image is gone: nothing is started anew unasked. */
const wayOut = 'PowerOffVM_Task discards what it remembered; then it starts anew.';

/** Absolute path of the image that a suspended machine goes on from. Throws FileNotFound where it is gone. */
export async function memoryImageOf(
  { datastore, vmxPath, configuration }: MachineRecord,
  vmx: VmxFile,
): Promise<string> {
  const { name } = splitPath(vmx.get(suspendKey) ?? '');
  const path = name === '' ? vmxPath : joinPath(splitPath(vmxPath).folder, name);
  const file = datastore.format(path);
  if (name === '')
    throw fault('FileNotFound', { file }, `${file} names no memory of the suspended ${configuration.name}. ${wayOut}`);
  if (!(await isThere(datastore.absolute(path))))
    throw fault(
      'FileNotFound',
      { file },
      `The memory of the suspended ${configuration.name}, ${file}, is not there. ${wayOut}`,
    );
  return datastore.absolute(path);
}

/** What is true of a machine whose folder was brought with the memory that it is to go on from; undefined: it is off. */
export async function suspendedInFolder(
  { datastore, vmxPath }: Pick<MachineRecord, 'datastore' | 'vmxPath'>,
  vmx: VmxFile,
): Promise<{ readonly powerState: PowerState; readonly suspendTime: string } | undefined> {
  const { name } = splitPath(vmx.get(suspendKey) ?? '');
  if (name === '') return undefined;
  // A name without its file, or a link that leads elsewhere, is no memory: such a machine starts anew.
  const path = await resolveInRoot(datastore, joinPath(splitPath(vmxPath).folder, name)).catch(() => undefined);
  const facts = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (!facts?.isFile() || facts.size === 0) return undefined;
  return { powerState: 'suspended', suspendTime: facts.mtime.toISOString() };
}

export function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
