import type { VirtualDisk, VirtualEthernetCard, VirtualSerialPort } from '@hypostyle/vim';
import {
  cdromInfo,
  cdromSpec,
  cdromUpdate,
  diskInfo,
  diskSpec,
  diskUpdate,
  ethernetInfo,
  ethernetSpec,
  ethernetUpdate,
  floppyInfo,
  floppySpec,
  parallelInfo,
  parallelSpec,
  serialInfo,
  serialSpec,
} from '../machine/device-schemas.ts';
import { creating, type DeviceFamily, familyOperations, updating } from './device-family.ts';
import type { Operation } from './operation.ts';

const disk: DeviceFamily<VirtualDisk, typeof diskInfo> = {
  name: 'disk',
  word: 'disk',
  type: 'VirtualDisk',
  info: diskInfo,
  tell: (devices, device) => devices.disk(device),
};
const ethernet: DeviceFamily<VirtualEthernetCard, typeof ethernetInfo> = {
  name: 'ethernet',
  word: 'nic',
  type: 'VirtualEthernetCard',
  info: ethernetInfo,
  tell: (devices, device) => devices.ethernet(device),
};
const cdrom: DeviceFamily<never, typeof cdromInfo> = {
  name: 'cdrom',
  word: 'cdrom',
  type: 'VirtualCdrom',
  info: cdromInfo,
  tell: (devices, device) => devices.cdrom(device),
};
const floppy: DeviceFamily<never, typeof floppyInfo> = {
  name: 'floppy',
  word: 'floppy',
  type: 'VirtualFloppy',
  info: floppyInfo,
  tell: (devices, device) => devices.floppy(device),
};
const serial: DeviceFamily<VirtualSerialPort, typeof serialInfo> = {
  name: 'serial',
  word: 'port',
  type: 'VirtualSerialPort',
  info: serialInfo,
  tell: (devices, device) => devices.serial(device),
};

const parallel: DeviceFamily<never, typeof parallelInfo> = {
  name: 'parallel',
  word: 'port',
  type: 'VirtualParallelPort',
  info: parallelInfo,
  tell: (devices, device) => devices.parallel(device),
};

/** Disks, network cards, drives and ports of a machine. */
export const deviceOperations: readonly Operation[] = [
  ...familyOperations(disk),
  ...familyOperations(ethernet, { connects: true }),
  ...familyOperations(cdrom, { connects: true }),
  ...familyOperations(floppy, { connects: true }),
  ...familyOperations(serial, { connects: true }),
  ...familyOperations(parallel, { connects: true }),
  creating(disk, 'Adds a disk: a new one, or one whose file there is.', diskSpec, (plan, spec) => plan.disk(spec)),
  updating(disk, 'Gives a disk another file.', diskUpdate, (plan, device, spec) => plan.diskBacking(device, spec)),
  creating(ethernet, 'Adds a network card.', ethernetSpec, (plan, spec) => plan.ethernet(spec)),
  updating(ethernet, 'Changes a network card.', ethernetUpdate, (plan, device, spec) =>
    plan.ethernetUpdate(device, spec),
  ),
  creating(cdrom, 'Adds a CD-ROM drive.', cdromSpec, (plan, spec) => plan.cdrom(spec)),
  updating(cdrom, 'Changes a CD-ROM drive, or the image in it.', cdromUpdate, (plan, device, spec) =>
    plan.cdromUpdate(device, spec),
  ),
  creating(floppy, 'Adds a floppy drive.', floppySpec, (plan, spec) => plan.floppy(spec)),
  updating(floppy, 'Changes a floppy drive, or the image in it.', floppySpec, (plan, device, spec) =>
    plan.floppyUpdate(device, spec),
  ),
  creating(serial, 'Adds a serial port.', serialSpec, (plan, spec) => plan.serial(spec)),
  creating(parallel, 'Adds a parallel port.', parallelSpec, (plan, spec) => plan.parallel(spec)),
  updating(parallel, 'Changes a parallel port.', parallelSpec, (plan, device, spec) =>
    plan.parallelUpdate(device, spec),
  ),
  updating(serial, 'Changes a serial port.', serialSpec, (plan, device, spec) => plan.serialUpdate(device, spec)),
];
