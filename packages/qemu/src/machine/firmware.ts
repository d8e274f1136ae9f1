import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, copyFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { qemuErrors } from '../errors.ts';

const codeFile = 'OVMF_CODE_4M.fd';
const variablesFile = 'OVMF_VARS_4M.fd';

export interface EfiFirmware {
  readonly codePath: string;
  readonly variablesPath: string;
}

export async function hasEfiFirmware(folder: string): Promise<boolean> {
  try {
    await Promise.all([codeFile, variablesFile].map((name) => access(join(folder, name), constants.R_OK)));
    return true;
  } catch {
    return false;
  }
}

/**
 * The EFI firmware, with a copy of its variables that belongs to the machine. A file of another maker at `nvramPath`
 * (VMware's has another size) is left as it is, and ours gets `.ovmf` after its name.
 */
export async function efiFirmware(folder: string, nvramPath: string): Promise<EfiFirmware> {
  if (!(await hasEfiFirmware(folder))) throw qemuErrors.firmwareMissing(folder);
  const template = join(folder, variablesFile);
  const { size } = await stat(template);
  const present = await sizeOf(nvramPath);
  const variablesPath = present === undefined || present === size ? nvramPath : `${nvramPath}.ovmf`;
  if ((await sizeOf(variablesPath)) !== size) await copyWhole(template, variablesPath);
  return { codePath: join(folder, codeFile), variablesPath };
}

async function copyWhole(from: string, to: string): Promise<void> {
  const fresh = `${to}.${randomUUID()}`;
  try {
    await copyFile(from, fresh, constants.COPYFILE_EXCL);
    await rename(fresh, to);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
