import { link, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ImageTool } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import type { ProgramRunner } from './program-runner.ts';

/**
 * `ImageTool.createChangeLayer`: qcow2 over a raw data file (docs/interop/qcow2.txt), every cluster mapped to its own
 * place. `qemu-img create` empties the data file, so it is given another one, and the name is put right afterwards.
 */
export async function createChangeLayer(
  run: ProgramRunner,
  { path, fileName, virtualBytes }: Parameters<ImageTool['createChangeLayer']>[0],
): Promise<void> {
  let folder: string | undefined;
  try {
    folder = await mkdtemp(join(dirname(path), '.changes-'));
    const made = join(folder, 'changes.qcow2');
    await writeFile(join(folder, fileName), '', { mode: 0o600 });
    // A comma would begin another option.
    const quoted = (name: string) => name.replaceAll(',', ',,');
    const layout = `data_file=${quoted(join(folder, fileName))},data_file_raw=on,preallocation=metadata,cluster_size=64k`;
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', layout, made, String(virtualBytes)], {});
    await run(['qemu-img', 'amend', '-q', '-f', 'qcow2', '-o', `data_file=${quoted(fileName)}`, made], {});
    const file = await open(made, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await link(made, path);
  } catch (cause) {
    throw qemuErrors.imageFailed(`${path} cannot be made: ${messageOf(cause)}`, cause);
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}
