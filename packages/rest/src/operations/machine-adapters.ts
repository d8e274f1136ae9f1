import type { VirtualController, VirtualSCSIController } from '@hypostyle/vim';
import { nvmeInfo, nvmeSpec, sataInfo, sataSpec, scsiInfo, scsiSpec, scsiUpdate } from '../machine/device-schemas.ts';
import { creating, type DeviceFamily, familyOperations, updating } from './device-family.ts';
import type { Operation } from './operation.ts';

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
  creating(scsi, 'Adds a SCSI controller.', scsiSpec, (plan, spec) => plan.scsiAdapter(spec)),
  updating(scsi, 'Changes how a SCSI bus is shared.', scsiUpdate, (plan, device, { sharing }) => {
    if (sharing !== undefined) plan.scsiUpdate(device, sharing);
  }),
  creating(sata, 'Adds a SATA controller.', sataSpec, (plan, spec) => plan.sataAdapter(spec)),
  creating(nvme, 'Adds an NVMe controller.', nvmeSpec, (plan, spec) => plan.nvmeAdapter(spec)),
];
