import type { VirtualDisk, VirtualEthernetCard, VirtualSerialPort } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
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
  serialInfo,
  serialSpec,
} from '../machine/device-schemas.ts';
import { Machine } from '../machine/machine-reader.ts';
import { type DeviceFamily, familyOperations } from './device-family.ts';
import { type Operation, operation } from './operation.ts';

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

/** Disks, network cards, drives and ports of a machine. */
export const deviceOperations: readonly Operation[] = [
  ...familyOperations(disk),
  ...familyOperations(ethernet, { connects: true }),
  ...familyOperations(cdrom, { connects: true }),
  ...familyOperations(floppy, { connects: true }),
  ...familyOperations(serial, { connects: true }),
  operation({
    id: 'vcenter.vm.hardware.disk.create',
    summary: 'Adds a disk: a new one, or one whose file there is.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/hardware/disk',
    rest: {},
    created: true,
    body: diskSpec,
    answer: Type.String(),
    run: ({ view, path, body }) => new Machine(view, path.vm).change('VirtualDisk', (plan) => plan.disk(body)),
  }),
  operation({
    id: 'vcenter.vm.hardware.disk.update',
    summary: 'Gives a disk another file.',
    method: 'PATCH',
    path: '/vcenter/vm/{vm}/hardware/disk/{disk}',
    rest: {},
    body: diskUpdate,
    async run({ view, path, body }) {
      const machine = new Machine(view, path.vm);
      const device = machine.device('VirtualDisk', path.disk);
      await machine.change('VirtualDisk', (plan) => plan.diskBacking(device, body));
    },
  }),
  operation({
    id: 'vcenter.vm.hardware.ethernet.create',
    summary: 'Adds a network card.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/hardware/ethernet',
    rest: {},
    created: true,
    body: ethernetSpec,
    answer: Type.String(),
    run: ({ view, path, body }) =>
      new Machine(view, path.vm).change('VirtualEthernetCard', (plan) => plan.ethernet(body)),
  }),
  operation({
    id: 'vcenter.vm.hardware.ethernet.update',
    summary: 'Changes a network card.',
    method: 'PATCH',
    path: '/vcenter/vm/{vm}/hardware/ethernet/{nic}',
    rest: {},
    body: ethernetUpdate,
    async run({ view, path, body }) {
      const machine = new Machine(view, path.vm);
      const device = machine.device('VirtualEthernetCard', path.nic);
      await machine.change('VirtualEthernetCard', (plan) => plan.ethernetUpdate(device, body));
    },
  }),
  operation({
    id: 'vcenter.vm.hardware.cdrom.create',
    summary: 'Adds a CD-ROM drive.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/hardware/cdrom',
    rest: {},
    created: true,
    body: cdromSpec,
    answer: Type.String(),
    run: ({ view, path, body }) => new Machine(view, path.vm).change('VirtualCdrom', (plan) => plan.cdrom(body)),
  }),
  operation({
    id: 'vcenter.vm.hardware.cdrom.update',
    summary: 'Changes a CD-ROM drive, or the image in it.',
    method: 'PATCH',
    path: '/vcenter/vm/{vm}/hardware/cdrom/{cdrom}',
    rest: {},
    body: cdromUpdate,
    async run({ view, path, body }) {
      const machine = new Machine(view, path.vm);
      const device = machine.device('VirtualCdrom', path.cdrom);
      await machine.change('VirtualCdrom', (plan) => plan.cdromUpdate(device, body));
    },
  }),
  operation({
    id: 'vcenter.vm.hardware.floppy.create',
    summary: 'Adds a floppy drive.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/hardware/floppy',
    rest: {},
    created: true,
    body: floppySpec,
    answer: Type.String(),
    run: ({ view, path, body }) => new Machine(view, path.vm).change('VirtualFloppy', (plan) => plan.floppy(body)),
  }),
  operation({
    id: 'vcenter.vm.hardware.serial.create',
    summary: 'Adds a serial port.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/hardware/serial',
    rest: {},
    created: true,
    body: serialSpec,
    answer: Type.String(),
    run: ({ view, path, body }) => new Machine(view, path.vm).change('VirtualSerialPort', (plan) => plan.serial(body)),
  }),
];
