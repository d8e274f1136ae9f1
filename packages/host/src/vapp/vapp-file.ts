import { constants } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { maximumVAppLength, splitPath } from '@hypostyle/services';
import type { VmConfigInfo } from '@hypostyle/vim';
import type { Datastore } from '../datastore/datastore.ts';
import { HostError } from '../errors.ts';
import { syncFolder } from '../machine/files/machine-files.ts';
import { parseVApp } from './parse-vapp.ts';

/** The folder in a machine's own that no client sees. */
const privateFolder = '.hypo';
/** Where a machine's folder has its vApp configuration. */
export const vAppPath = `${privateFolder}/vapp.json`;
/** One UTF-16 unit has up to 3 bytes of UTF-8. */
const maximumBytes = 3 * maximumVAppLength;

/** Absolute path of a file of ours about a machine. */
export function privatePath(datastore: Datastore, vmxPath: string, name: string): string {
  return join(datastore.absolute(splitPath(vmxPath).folder), privateFolder, name);
}

/** Reads a machine's vApp configuration: `vapp.json`, the VI/JSON of a VmConfigInfo. Throws `vapp-invalid`. */
export async function readVApp(datastore: Datastore, vmxPath: string): Promise<VmConfigInfo> {
  const path = privatePath(datastore, vmxPath, 'vapp.json');
  let text: string;
  try {
    text = (await readBounded(path, maximumBytes)).toString('utf8');
  } catch (error) {
    if (error instanceof HostError) throw error;
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it is missing' : 'it cannot be read';
    throw new HostError('vapp-invalid', reason, { cause: error });
  }
  return parseVApp(text);
}

/** Reads a file of ours that a folder may have brought. Throws `vapp-invalid`, and what the system says. */
export async function readBounded(path: string, mostBytes: number): Promise<Buffer> {
  // What a folder brings may be a link or a pipe: neither is followed, nor waited for.
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const facts = await handle.stat();
    if (!facts.isFile()) throw new HostError('vapp-invalid', 'it is no file');
    if (facts.size > mostBytes) throw new HostError('vapp-invalid', `it has ${facts.size} bytes`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** Writes it durably, before the `.vmx` that says that it is there; undefined takes it away, after the `.vmx`. */
export async function writeVApp(datastore: Datastore, vmxPath: string, vApp: VmConfigInfo | undefined): Promise<void> {
  const path = privatePath(datastore, vmxPath, 'vapp.json');
  if (vApp === undefined) await rm(path, { force: true });
  else await writePrivate(path, JSON.stringify(vApp));
}

/** Writes a file that may hold passwords, durably and whole. */
export async function writePrivate(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.partial`;
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
  await syncFolder(dirname(dirname(path)));
}
