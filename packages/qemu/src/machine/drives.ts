import type { DiskHardware, MachineHardware } from '@hypostyle/contracts';
import { qemuErrors } from '../errors.ts';
import { type BlockNode, diskGraph, imageNodes } from './block-graph.ts';
import { type Attachment, attachment, controllerDevice } from './controllers.ts';
import { type Device, deviceId } from './device.ts';

export interface DiskOptions {
  readonly hardware: MachineHardware;
  readonly disk: DiskHardware;
  /** Part of the names of its nodes. */
  readonly index: number;
  readonly directIo: boolean;
  /** Takes the writes of a disk with `discardWrites`. */
  readonly discardFile?: string;
}

/** The nodes of a disk, base first, and its device. Throws `unsupported-hardware`. */
export function diskParts({ hardware, ...options }: DiskOptions): { device: Device; nodes: readonly BlockNode[] } {
  const { disk } = options;
  const { model, at } = place(hardware, disk, `Disk ${disk.id}`);
  const graph = diskGraph(options);
  if (disk.readOnly && at.driver.disk === 'ide-hd') {
    throw qemuErrors.unsupported(`Disk ${disk.id}: a ${model} disk cannot be read-only; use SCSI or NVMe.`);
  }
  if (disk.shared) checkShared(disk);
  const device = {
    driver: at.driver.disk,
    id: deviceId.disk(disk.id),
    drive: graph.top,
    ...at.properties,
    ...bootProperty(hardware, disk.id),
    ...(disk.pauseOnReadError && model !== 'nvme' ? { rerror: 'stop' } : {}),
    ...(disk.writeThrough && model !== 'nvme' ? { 'write-cache': 'off' } : {}),
    ...(disk.serial && model !== 'nvme' ? { serial: disk.serial } : {}),
    ...(disk.shared ? { 'share-rw': true } : {}),
  };
  return { device, nodes: graph.nodes };
}

/** Formats of our own keep tables in memory, which another engine does not know of. */
function checkShared({ id, layers, discardWrites }: DiskHardware): void {
  const [top] = layers;
  if (layers.length !== 1 || top?.format !== 'raw' || top.changesPath !== undefined || discardWrites)
    throw qemuErrors.unsupported(`Disk ${id}: what several machines write is one layer of raw bytes.`);
}

/** Controllers, disks, CD-ROM and floppy drives of a machine that is started. */
export function driveArguments(options: {
  readonly hardware: MachineHardware;
  readonly directIo: ReadonlySet<string>;
  readonly discardFiles: ReadonlyMap<string, string>;
}): { devices: Device[]; nodes: BlockNode[] } {
  const { hardware } = options;
  const devices = hardware.controllers.flatMap((controller) => controllerDevice(controller) ?? []);
  const nodes: BlockNode[] = [];
  for (const [index, disk] of hardware.disks.entries()) {
    const discardFile = options.discardFiles.get(disk.id);
    const directIo = options.directIo.has(disk.id);
    const parts = diskParts({ hardware, disk, index, directIo, ...(discardFile ? { discardFile } : {}) });
    nodes.push(...parts.nodes);
    devices.push(parts.device);
  }
  for (const [index, cdrom] of hardware.cdroms.entries()) {
    const { model, at } = place(hardware, cdrom, `CD-ROM ${cdrom.id}`);
    if (!at.driver.cdrom) throw qemuErrors.unsupported(`CD-ROM ${cdrom.id}: ${model} takes disks only.`);
    const graph = cdrom.path ? imageNodes(`cdrom${index}`, cdrom.path, true) : undefined;
    if (graph) nodes.push(...graph.nodes);
    devices.push({
      driver: at.driver.cdrom,
      id: deviceId.cdrom(cdrom.id),
      ...(graph ? { drive: graph.top } : {}),
      ...at.properties,
      ...bootProperty(hardware, cdrom.id),
    });
  }
  for (const { id, unit, path } of hardware.floppies ?? []) {
    if (unit !== 0 && unit !== 1) throw qemuErrors.unsupported(`Floppy ${id}: there are drives 0 and 1.`);
    const graph = path ? imageNodes(`floppy${unit}`, path, false) : undefined;
    if (graph) nodes.push(...graph.nodes);
    devices.push({
      driver: 'floppy',
      id: deviceId.floppy(id),
      unit,
      'drive-type': '144',
      ...(graph ? { drive: graph.top } : {}),
      ...bootProperty(hardware, id),
    });
  }
  return { devices, nodes };
}

export function bootProperty({ bootOrder }: MachineHardware, id: string): { readonly bootindex?: number } {
  const bootindex = bootOrder.indexOf(id);
  return bootindex < 0 ? {} : { bootindex };
}

function place(
  hardware: MachineHardware,
  { controllerId, unit }: { readonly controllerId: string; readonly unit: number },
  what: string,
): { readonly model: string; readonly at: Attachment } {
  const controller = hardware.controllers.find(({ id }) => id === controllerId);
  if (!controller) throw qemuErrors.unsupported(`${what}: there is no controller ${controllerId}.`);
  return { model: controller.model, at: attachment(controller, unit, what) };
}
