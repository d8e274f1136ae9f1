import { isDeepStrictEqual } from 'node:util';
import type { HostCore } from '../../host-core.ts';
import type { MachineFiles } from '../record/machine-record.ts';
import { listFiles } from './list-files.ts';

/** Looks at the files of a machine again. What is as it was is told to nobody. */
export async function refreshFiles({ machines }: Pick<HostCore, 'machines'>, id: string): Promise<void> {
  const machine = machines.find(id);
  if (machine === undefined || machine.problem !== undefined) return;
  const { datastore, vmxPath } = machine;
  const files = await listFiles(datastore, vmxPath, machine).catch(() => undefined);
  const now = machines.find(id);
  // It may have gone to another folder meanwhile.
  if (files === undefined || now === undefined || now.datastore !== datastore || now.vmxPath !== vmxPath) return;
  if (!isSame(now.files, files)) machines.change(id, { files });
}

function isSame({ at: _before, ...before }: MachineFiles, { at: _after, ...after }: MachineFiles): boolean {
  return isDeepStrictEqual(before, after);
}
