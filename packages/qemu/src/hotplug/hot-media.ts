import { messageOf, qemuErrors } from '../errors.ts';
import { imageNodes } from '../machine/block-graph.ts';
import type { Engine } from '../machine/engine.ts';
import type { EngineHardware } from './engine-hardware.ts';

/** Exchanges the image in a drive, opened by force where the guest has locked it; none is an empty drive. */
export async function changeMedium(
  engine: Engine,
  { media, nodes }: Pick<EngineHardware, 'media' | 'nodes'>,
  drive: string,
  path: string | undefined,
): Promise<void> {
  const now = media.get(drive);
  if (now?.path === path) return;
  const image = path === undefined ? undefined : imageNodes(freeName(nodes), path, drive.startsWith('cdrom'));
  const added: string[] = [];
  try {
    // Whether the image can be opened is known before the drive is.
    for (const node of image?.nodes ?? []) {
      await engine.execute('blockdev-add', node);
      added.unshift(node['node-name']);
    }
    await engine.execute('blockdev-open-tray', { id: drive, force: true });
    if (now !== undefined) await engine.execute('blockdev-remove-medium', { id: drive });
    if (image !== undefined) await engine.execute('blockdev-insert-medium', { id: drive, 'node-name': image.top });
    await engine.execute('blockdev-close-tray', { id: drive });
  } catch (error) {
    await engine.execute('blockdev-close-tray', { id: drive }).catch(() => {});
    for (const name of added) await engine.execute('blockdev-del', { 'node-name': name }).catch(() => {});
    throw qemuErrors.hotPlugFailed(`The image in ${drive} could not be changed: ${messageOf(error)}`, error);
  }
  if (now === undefined) return;
  for (const name of [now.node, `${now.node}-file`]) {
    await engine.execute('blockdev-del', { 'node-name': name }).catch(() => {});
  }
}

function freeName(nodes: ReadonlySet<string>): string {
  let number = 0;
  while (nodes.has(`image${number}`) || nodes.has(`image${number}-file`)) number += 1;
  return `image${number}`;
}
