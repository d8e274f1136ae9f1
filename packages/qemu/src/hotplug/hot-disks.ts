import { setTimeout as sleep } from 'node:timers/promises';
import type { DiskHardware, MachineHardware } from '@hypostyle/contracts';
import { findDiskNodes } from '../blocks/disk-nodes.ts';
import { takesDirectIo } from '../blocks/snapshot-disks.ts';
import { messageOf, qemuErrors } from '../errors.ts';
import type { BlockNode } from '../machine/block-graph.ts';
import { deviceId } from '../machine/device.ts';
import { diskParts } from '../machine/drives.ts';
import type { Engine } from '../machine/engine.ts';
import type { EngineHardware } from './engine-hardware.ts';
import { unplug } from './unplug.ts';

/** How long a device that is gone may hold on to its disk, milliseconds. */
const closeDeadlineMs = 10_000;

/** Opens a disk's layers and gives it to the guest; nothing of it is left in the engine where that fails. */
export async function addDisk(
  engine: Engine,
  { nodes: known }: Pick<EngineHardware, 'nodes'>,
  hardware: MachineHardware,
  disk: DiskHardware,
): Promise<void> {
  const path = disk.layers[0]?.path;
  const directIo = path !== undefined && !disk.readOnly && (await takesDirectIo(path));
  const { device, nodes } = diskParts({ hardware, disk, index: freeIndex(known), directIo });
  const added: BlockNode[] = [];
  try {
    for (const node of nodes) {
      await engine.execute('blockdev-add', node);
      added.unshift(node);
    }
    const { bootindex: _next, ...now } = device as { readonly bootindex?: number };
    await engine.execute('device_add', now);
  } catch (error) {
    for (const node of added) await engine.execute('blockdev-del', { 'node-name': node['node-name'] }).catch(() => {});
    throw qemuErrors.hotPlugFailed(`Disk ${disk.id} could not be added: ${messageOf(error)}`, error);
  }
}

/** Takes a disk from the guest and closes its files. */
export async function removeDisk(engine: Engine, diskId: string): Promise<void> {
  const { prefix } = await findDiskNodes(engine, diskId);
  await unplug(engine, deviceId.disk(diskId), `disk ${diskId}`);
  await closeNodes(engine, prefix);
}

/** Closes what belongs to no device any more, such as after an owner was killed amid a removal. */
export async function closeOrphans(engine: Engine, { nodes }: Pick<EngineHardware, 'nodes'>): Promise<void> {
  const prefixes = new Set([...nodes].flatMap((node) => /^(disk\d+)-/.exec(node)?.[1] ?? []));
  if (prefixes.size === 0) return;
  const drives = await engine.execute('query-block');
  for (const drive of Array.isArray(drives) ? drives : []) {
    const node = (drive as { readonly inserted?: { readonly 'node-name'?: string } }).inserted?.['node-name'];
    prefixes.delete(/^(disk\d+)-/.exec(node ?? '')?.[1] ?? '');
  }
  for (const prefix of prefixes) await closeNodes(engine, prefix);
}

/** What lies on top of others goes first: which that is shows as the rest is still in use. */
async function closeNodes(engine: Engine, prefix: string): Promise<void> {
  const deadline = performance.now() + closeDeadlineMs;
  for (;;) {
    const list = await engine.execute('query-named-block-nodes', { flat: true });
    const names = (Array.isArray(list) ? list : [])
      .map((node: unknown) => String((node as { readonly 'node-name'?: unknown })['node-name']))
      .filter((name) => name.startsWith(`${prefix}-`));
    let closed = 0;
    for (const name of names) {
      await engine.execute('blockdev-del', { 'node-name': name }).then(
        () => (closed += 1),
        () => {},
      );
    }
    if (names.length === 0) return;
    if (closed > 0) continue;
    // A device lets go of its disk a moment after it is gone.
    if (performance.now() < deadline) await sleep(20);
    else throw qemuErrors.hotPlugFailed(`A disk that was removed is still in use: ${names.join(', ')}.`);
  }
}

/** Disks are named by a number that no other one has. */
function freeIndex(nodes: ReadonlySet<string>): number {
  const taken = new Set([...nodes].map((node) => /^disk(\d+)-/.exec(node)?.[1]));
  let index = 0;
  while (taken.has(String(index))) index += 1;
  return index;
}
