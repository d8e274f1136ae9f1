import type { VirtualController, VirtualSCSIController } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import { nvmeInfo, nvmeSpec, sataInfo, sataSpec, scsiInfo, scsiSpec, scsiUpdate } from '../machine/device-schemas.ts';
import { Machine } from '../machine/machine-reader.ts';
import { type DeviceFamily, familyOperations } from './device-family.ts';
import { type Operation, operation } from './operation.ts';

const scsi: DeviceFamily<VirtualSCSIController, typeof scsiInfo> = {
  name: 'scsi',
  group: 'adapter',
  word: 'adapter',
  type: 'VirtualSCSIController',
  info: scsiInfo,
  tell: (devices, device) => devices.scsi(device),
};
const sata: DeviceFamily<VirtualController, typeof sataInfo> = {
  name: 'sata',
  group: 'adapter',
  word: 'adapter',
  type: 'VirtualSATAController',
  info: sataInfo,
  tell: (devices, device) => devices.sata(device),
};
const nvme: DeviceFamily<VirtualController, typeof nvmeInfo> = {
  name: 'nvme',
  group: 'adapter',
  word: 'adapter',
  type: 'VirtualNVMEController',
  info: nvmeInfo,
  tell: (devices, device) => devices.nvme(device),
};

/** Storage controllers of a machine. */
export const adapterOperations: readonly Operation[] = [
  ...familyOperations(scsi),
  ...familyOperations(sata),
  ...familyOperations(nvme),
  operation({
    id: 'vcenter.vm.hardware.adapter.scsi.create',
    summary: 'Adds a SCSI controller.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/hardware/adapter/scsi',
    rest: {},
    created: true,
    body: scsiSpec,
    answer: Type.String(),
    run: ({ view, path, body }) =>
      new Machine(view, path.vm).change('VirtualSCSIController', (plan) => plan.scsiAdapter(body)),
  }),
  operation({
    id: 'vcenter.vm.hardware.adapter.scsi.update',
    summary: 'Changes how a SCSI bus is shared.',
    method: 'PATCH',
    path: '/vcenter/vm/{vm}/hardware/adapter/scsi/{adapter}',
    rest: {},
    body: scsiUpdate,
    async run({ view, path, body: { sharing } }) {
      const machine = new Machine(view, path.vm);
      const device = machine.device('VirtualSCSIController', path.adapter);
      if (sharing === undefined) return;
      await machine.change('VirtualSCSIController', (plan) => plan.scsiUpdate(device, sharing));
    },
  }),
  operation({
    id: 'vcenter.vm.hardware.adapter.sata.create',
    summary: 'Adds a SATA controller.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/hardware/adapter/sata',
    rest: {},
    created: true,
    body: sataSpec,
    answer: Type.String(),
    run: ({ view, path, body }) =>
      new Machine(view, path.vm).change('VirtualSATAController', (plan) => plan.sataAdapter(body)),
  }),
  operation({
    id: 'vcenter.vm.hardware.adapter.nvme.create',
    summary: 'Adds an NVMe controller.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/hardware/adapter/nvme',
    rest: {},
    created: true,
    body: nvmeSpec,
    answer: Type.String(),
    run: ({ view, path, body }) =>
      new Machine(view, path.vm).change('VirtualNVMEController', (plan) => plan.nvmeAdapter(body)),
  }),
];
