import { data, type VirtualDevice, type VirtualDeviceConnectInfo } from '@hypostyle/vim';
import { fixedKeys } from '../configuration/device-keys.ts';
import { diskIo } from '../configuration/disk-io.ts';
import { type Equipment, equipmentKeys, equipmentOf, soundModels } from '../configuration/equipment.ts';
import type {
  Cdrom,
  Controller,
  Disk,
  DiskIo,
  Floppy,
  Nic,
  NicBandwidth,
  Serial,
} from '../configuration/machine-configuration.ts';
import { nicBandwidth } from '../configuration/nic-bandwidth.ts';
import { sharedBusWord } from '../configuration/shared-disk.ts';
import { type DiskFacts, isConnected, type MachineRecord } from '../machine/record/machine-record.ts';
import type { InventoryNames } from './inventory-names.ts';

const description = (label: string, summary: string) => data('Description', { label, summary });

// What all machines have alike is there once: it is most of what a machine shows.
const ps2Controller = data('VirtualPS2Controller', {
  key: fixedKeys.ps2,
  deviceInfo: description('PS2 controller 0', 'PS2 controller'),
  busNumber: 0,
  device: [fixedKeys.keyboard, fixedKeys.pointing],
});
const keyboard = data('VirtualKeyboard', {
  key: fixedKeys.keyboard,
  deviceInfo: description('Keyboard ', 'Keyboard'),
  controllerKey: fixedKeys.ps2,
  unitNumber: 0,
});
const pointingDevice = data('VirtualPointingDevice', {
  key: fixedKeys.pointing,
  deviceInfo: description('Pointing device', 'Pointing device; Device'),
  backing: data('VirtualPointingDeviceDeviceBackingInfo', {
    deviceName: '',
    useAutoDetect: false,
    hostPointingDevice: 'autodetect',
  }),
  controllerKey: fixedKeys.ps2,
  unitNumber: 1,
});
const videoCardOf = (videoRamSizeInKB: number) =>
  data('VirtualMachineVideoCard', {
    key: fixedKeys.video,
    deviceInfo: description('Video card ', 'Video card'),
    controllerKey: fixedKeys.pci,
    unitNumber: 0,
    videoRamSizeInKB,
    numDisplays: 1,
    useAutoDetect: false,
    enable3DSupport: false,
  });
const defaultVideoRamKiB = 16_384;
const videoCard = videoCardOf(defaultVideoRamKiB);
const ioAllocation = ({ limit, level, shares }: DiskIo) =>
  data('StorageIOAllocationInfo', { limit, shares: data('SharesInfo', { shares, level }), reservation: 0 });
const allOfDisks = ioAllocation(diskIo({}));

const networkAllocation = ({ reservation, limit, level, shares }: NicBandwidth) =>
  data('VirtualEthernetCardResourceAllocation', { reservation, limit, share: data('SharesInfo', { shares, level }) });
const allOfNetworks = networkAllocation(nicBandwidth({}));

function pciController(device: readonly number[]): VirtualDevice {
  return data('VirtualPCIController', {
    key: fixedKeys.pci,
    deviceInfo: description('PCI controller 0', 'PCI controller'),
    busNumber: 0,
    device,
  });
}

function superIoController(device: readonly number[]): VirtualDevice {
  return data('VirtualSIOController', {
    key: fixedKeys.superIo,
    deviceInfo: description('SIO controller 0', 'SIO controller'),
    busNumber: 0,
    device,
  });
}

/** What every machine has from the beginning. */
export function defaultDevices(): VirtualDevice[] {
  const ide = (bus: number) => controllerDevice({ key: 200 + bus, family: 'ide', model: 'ide', bus }, []);
  return [
    ide(0),
    ide(1),
    ps2Controller,
    pciController([fixedKeys.video, fixedKeys.vmci]),
    superIoController([]),
    keyboard,
    pointingDevice,
    videoCard,
  ];
}

/** Every device of a machine in the model's words, in VMware's order: controllers first. */
export function virtualDevices(
  machine: MachineRecord,
  names: InventoryNames,
  changeIds: ReadonlyMap<number, string>,
): VirtualDevice[] {
  const { configuration } = machine;
  const equipment = equipmentOf(configuration);
  const extras = equipmentDevices(equipment);
  const running = machine.powerState === 'poweredOn';
  const attached = (key: number) => attachedTo(machine, key);
  const devices: VirtualDevice[] = [];
  for (const controller of configuration.controllers) {
    if (controller.family === 'ide') devices.push(controllerDevice(controller, attached(controller.key)));
  }
  devices.push(
    ps2Controller,
    pciController([
      fixedKeys.video,
      fixedKeys.vmci,
      ...configuration.controllers.filter((c) => c.family !== 'ide').map((c) => c.key),
      ...configuration.nics.map((nic) => nic.key),
      ...extras.map(({ key }) => key),
    ]),
    superIoController([...configuration.floppies, ...configuration.serials].map((device) => device.key)),
    keyboard,
    pointingDevice,
    equipment.videoRamKiB === defaultVideoRamKiB ? videoCard : videoCardOf(equipment.videoRamKiB),
    ...extras,
  );
  for (const controller of configuration.controllers) {
    if (controller.family !== 'ide') devices.push(controllerDevice(controller, attached(controller.key)));
  }
  for (const [number, cdrom] of configuration.cdroms.entries())
    devices.push(cdromDevice(cdrom, number, machine, running));
  for (const [number, disk] of configuration.disks.entries()) {
    devices.push(diskDevice(disk, number, machine, names, changeIds.get(disk.key)));
  }
  for (const floppy of configuration.floppies) devices.push(floppyDevice(floppy, machine, running));
  for (const nic of configuration.nics) devices.push(nicDevice(nic, machine, names, running));
  for (const serial of configuration.serials) devices.push(serialDevice(serial, machine, running));
  return devices;
}

function equipmentDevices({ usb, ehci, xhci, sound, tpm }: Equipment): VirtualDevice[] {
  const onPci = { controllerKey: fixedKeys.pci, busNumber: 0, autoConnectDevices: false };
  const model = Object.entries(soundModels).find(([, known]) => known === sound)?.[0] as
    | keyof typeof soundModels
    | undefined;
  return [
    ...(usb
      ? [
          data('VirtualUSBController', {
            ...onPci,
            key: equipmentKeys.usb,
            deviceInfo: description('USB controller', 'Auto connect Disabled'),
            unitNumber: 22,
            ehciEnabled: ehci,
          }),
        ]
      : []),
    ...(xhci
      ? [
          data('VirtualUSBXHCIController', {
            ...onPci,
            key: equipmentKeys.xhci,
            deviceInfo: description('USB xHCI controller', 'USB xHCI controller'),
            unitNumber: 23,
          }),
        ]
      : []),
    ...(tpm
      ? [
          data('VirtualTPM', {
            key: equipmentKeys.tpm,
            deviceInfo: description('Virtual TPM', 'TPM 2.0'),
            controllerKey: fixedKeys.pci,
            unitNumber: 20,
          }),
        ]
      : []),
    ...(model === undefined
      ? []
      : [
          data(model, {
            key: equipmentKeys.sound,
            deviceInfo: description('Sound card', 'Nobody listens'),
            backing: data('VirtualSoundCardDeviceBackingInfo', { deviceName: '', useAutoDetect: true }),
            controllerKey: fixedKeys.pci,
            unitNumber: 21,
          }),
        ]),
  ];
}

function attachedTo({ configuration }: MachineRecord, key: number): number[] {
  return [...configuration.disks, ...configuration.cdroms].filter((d) => d.controllerKey === key).map((d) => d.key);
}

function controllerDevice(controller: Controller, device: readonly number[]): VirtualDevice {
  const { key, bus } = controller;
  const place = { key, busNumber: bus, ...(device.length > 0 ? { device } : {}) };
  const onPci = { ...place, controllerKey: fixedKeys.pci, unitNumber: 3 + bus };
  const scsi = (summary: string) => ({
    ...onPci,
    deviceInfo: description(`SCSI controller ${bus}`, summary),
    hotAddRemove: true,
    sharedBus: sharedBusWord(controller),
    scsiCtlrUnitNumber: 7,
  });
  switch (controller.model) {
    case 'ide':
      return data('VirtualIDEController', { ...place, deviceInfo: description(`IDE ${bus}`, `IDE ${bus}`) });
    case 'ahci':
      return data('VirtualAHCIController', { ...onPci, deviceInfo: description(`SATA controller ${bus}`, 'AHCI') });
    case 'nvme':
      return data('VirtualNVMEController', {
        ...onPci,
        deviceInfo: description(`NVME controller ${bus}`, 'NVME Controller'),
      });
    case 'buslogic':
      return data('VirtualBusLogicController', scsi('BusLogic'));
    case 'lsilogic':
      return data('VirtualLsiLogicController', scsi('LSI Logic'));
    case 'lsisas1068':
      return data('VirtualLsiLogicSASController', scsi('LSI Logic SAS'));
    case 'pvscsi':
      return data('ParaVirtualSCSIController', scsi('VMware paravirtual SCSI'));
  }
}

function connectable(
  machine: MachineRecord,
  device: { readonly key: number; readonly startConnected: boolean },
  running: boolean,
): VirtualDeviceConnectInfo {
  return data('VirtualDeviceConnectInfo', {
    migrateConnect: 'unset',
    startConnected: device.startConnected,
    allowGuestControl: true,
    connected: running && isConnected(machine, device),
    status: running ? 'ok' : 'untried',
  });
}

function diskDevice(
  disk: Disk,
  number: number,
  machine: MachineRecord,
  names: InventoryNames,
  changeId: string | undefined,
): VirtualDevice {
  const facts = machine.disks.get(disk.key);
  const capacityInBytes = facts?.capacityBytes ?? 0;
  const capacityInKB = Math.floor(capacityInBytes / 1024);
  const io = disk.io === undefined ? allOfDisks : ioAllocation(disk.io);
  return data('VirtualDisk', {
    key: disk.key,
    deviceInfo: description(`Hard disk ${number + 1}`, `${capacityInKB.toLocaleString('en-US')} KB`),
    backing: diskBacking(disk, facts, machine, names, changeId),
    controllerKey: disk.controllerKey,
    unitNumber: disk.unit,
    capacityInKB,
    capacityInBytes,
    shares: io.shares,
    storageIOAllocation: io,
    diskObjectId: `${machine.id}-${disk.key}`,
  });
}

function diskBacking(
  disk: Disk,
  facts: DiskFacts | undefined,
  machine: MachineRecord,
  names: InventoryNames,
  changeId: string | undefined,
): VirtualDevice['backing'] {
  const links = facts?.chain ?? [];
  const link = (depth: number): ReturnType<typeof data<'VirtualDiskFlatVer2BackingInfo'>> =>
    data('VirtualDiskFlatVer2BackingInfo', {
      fileName:
        links[depth]?.[0] === undefined
          ? machine.datastore.resolve(machine.vmxPath, disk.fileName)
          : machine.datastore.format(links[depth][0]),
      datastore: names.datastore(machine.datastore.locate(links[depth]?.[0] ?? '').datastore),
      backingObjectId: '',
      diskMode: disk.mode,
      split: false,
      writeThrough: disk.writeThrough,
      thinProvisioned: facts?.thin ?? true,
      ...(facts?.uuid && depth === 0 ? { uuid: facts.uuid } : {}),
      ...(facts && depth === 0 ? { contentId: facts.contentId } : {}),
      ...(changeId !== undefined && depth === 0 ? { changeId } : {}),
      digestEnabled: false,
      sharing: disk.multiWriter === true && depth === 0 ? 'sharingMultiWriter' : 'sharingNone',
      ...(depth + 1 < links.length ? { parent: link(depth + 1) } : {}),
    });
  return link(0);
}

function cdromDevice(cdrom: Cdrom, number: number, machine: MachineRecord, running: boolean): VirtualDevice {
  const path = cdrom.fileName && machine.datastore.resolve(machine.vmxPath, cdrom.fileName);
  const backing =
    path !== undefined
      ? data('VirtualCdromIsoBackingInfo', { fileName: path })
      : cdrom.kind === 'atapi'
        ? data('VirtualCdromAtapiBackingInfo', { deviceName: '', useAutoDetect: true })
        : data('VirtualCdromRemotePassthroughBackingInfo', { deviceName: '', useAutoDetect: false, exclusive: false });
  return data('VirtualCdrom', {
    key: cdrom.key,
    deviceInfo: description(`CD/DVD drive ${number + 1}`, path === undefined ? 'Remote device' : `ISO ${path}`),
    backing,
    connectable: connectable(machine, cdrom, running && path !== undefined),
    controllerKey: cdrom.controllerKey,
    unitNumber: cdrom.unit,
  });
}

function floppyDevice(floppy: Floppy, machine: MachineRecord, running: boolean): VirtualDevice {
  const path = floppy.fileName && machine.datastore.resolve(machine.vmxPath, floppy.fileName);
  return data('VirtualFloppy', {
    key: floppy.key,
    deviceInfo: description(`Floppy drive ${floppy.number + 1}`, path ?? 'Remote'),
    backing:
      path === undefined
        ? data('VirtualFloppyRemoteDeviceBackingInfo', { deviceName: '', useAutoDetect: false })
        : data('VirtualFloppyImageBackingInfo', { fileName: path }),
    connectable: connectable(machine, floppy, running && path !== undefined),
    controllerKey: fixedKeys.superIo,
    unitNumber: floppy.number,
  });
}

const nicTypes = {
  vlance: 'VirtualPCNet32',
  e1000: 'VirtualE1000',
  e1000e: 'VirtualE1000e',
  vmxnet3: 'VirtualVmxnet3',
  // The model has no word for virtio: an Ethernet card of no named kind.
  virtio: 'VirtualEthernetCard',
} as const;

function nicDevice(nic: Nic, machine: MachineRecord, names: InventoryNames, running: boolean): VirtualDevice {
  const network = names.network(nic.networkName);
  return data(nicTypes[nic.model], {
    key: nic.key,
    deviceInfo: description(`Network adapter ${nic.number + 1}`, nic.networkName),
    backing: data('VirtualEthernetCardNetworkBackingInfo', {
      deviceName: nic.networkName,
      useAutoDetect: false,
      ...(network === undefined ? {} : { network }),
      inPassthroughMode: false,
    }),
    connectable: connectable(machine, nic, running),
    controllerKey: fixedKeys.pci,
    unitNumber: 7 + nic.number,
    addressType: nic.addressType === 'vpx' ? 'assigned' : nic.addressType === 'static' ? 'manual' : 'generated',
    ...(nic.mac === '' ? {} : { macAddress: nic.mac }),
    wakeOnLanEnabled: nic.wakeOnLan,
    resourceAllocation: nic.bandwidth === undefined ? allOfNetworks : networkAllocation(nic.bandwidth),
  });
}

function serialDevice(serial: Serial, machine: MachineRecord, running: boolean): VirtualDevice {
  const backing =
    serial.kind === 'file'
      ? data('VirtualSerialPortFileBackingInfo', {
          fileName: machine.datastore.resolve(machine.vmxPath, serial.fileName),
        })
      : serial.kind === 'pipe'
        ? data('VirtualSerialPortPipeBackingInfo', { pipeName: serial.fileName, endpoint: 'server', noRxLoss: true })
        : serial.kind === 'network'
          ? data('VirtualSerialPortURIBackingInfo', { serviceURI: serial.fileName, direction: 'server' })
          : data('VirtualSerialPortDeviceBackingInfo', {
              deviceName: serial.fileName,
              useAutoDetect: serial.fileName === '',
            });
  return data('VirtualSerialPort', {
    key: serial.key,
    deviceInfo: description(`Serial port ${serial.number + 1}`, serial.fileName || 'Console'),
    backing,
    connectable: connectable(machine, serial, running),
    controllerKey: fixedKeys.superIo,
    unitNumber: serial.number,
    yieldOnPoll: serial.yieldOnPoll,
  });
}
