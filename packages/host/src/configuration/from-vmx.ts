import { type NicModel, nicModels } from '@hypostyle/contracts';
import { HostError } from '../errors.ts';
import type { VmxFile } from '../vmx/vmx-file.ts';
import {
  controllerKey,
  deviceKey,
  families,
  floppyKey,
  maximumNics,
  maximumSerials,
  nicKey,
  serialKey,
} from './device-keys.ts';
import { readDiskIo } from './disk-io.ts';
import type { GuestOsNames } from './guest-os.ts';
import type {
  Allocation,
  Cdrom,
  Controller,
  ControllerFamily,
  Disk,
  Floppy,
  MachineConfiguration,
  Nic,
  Serial,
} from './machine-configuration.ts';
import { readBandwidth } from './nic-bandwidth.ts';
import { isKnownKey } from './vmx-keys.ts';

const scsiModels = {
  buslogic: 'buslogic',
  lsilogic: 'lsilogic',
  lsisas1068: 'lsisas1068',
  pvscsi: 'pvscsi',
} as const;

/** Reads what we know of a `.vmx`. Throws `device-invalid` for a device that nobody could build. */
export function configurationFromVmx(vmx: VmxFile, guestOs: GuestOsNames, fallbackName: string): MachineConfiguration {
  const reader = new Reader(vmx);
  const controllers: Controller[] = [];
  const disks: Disk[] = [];
  const cdroms: Cdrom[] = [];
  for (const family of Object.keys(families) as ControllerFamily[]) {
    for (let bus = 0; bus < families[family].buses; bus += 1) {
      readBus(reader, family, bus, controllers, disks, cdroms);
    }
  }
  const nics = readNics(reader);
  return {
    name: vmx.get('displayName') ?? fallbackName,
    uuid: uuidFromVmx(vmx.get('uuid.bios')),
    instanceUuid: uuidFromVmx(vmx.get('vc.uuid')),
    guestId: guestOs.identifier(vmx.get('guestOS') ?? 'otherGuest'),
    hardwareVersion: reader.integer('virtualHW.version', 8, 3, 99),
    annotation: vmx.get('annotation') ?? '',
    firmware: vmx.get('firmware')?.toLowerCase() === 'efi' ? 'efi' : 'bios',
    secureBoot: reader.flag('uefi.secureBoot.enabled', false),
    cpus: reader.integer('numvcpus', 1, 1, 768),
    coresPerSocket: reader.integer('cpuid.coresPerSocket', 1, 1, 768),
    memoryMiB: reader.integer('memSize', 32, 4, 24 << 20),
    cpuHotAdd: reader.flag('vcpu.hotadd', false),
    memoryHotAdd: reader.flag('mem.hotadd', false),
    nvram: vmx.get('nvram') ?? '',
    controllers,
    disks,
    cdroms,
    nics,
    serials: readSerials(reader),
    floppies: readFloppies(reader),
    bootOrder: readBootOrder(vmx.get('bios.bootOrder')),
    bootDisks: readBootDisks(vmx.get('bios.hddOrder'), disks, controllers),
    bootNics: readBootNics(vmx.get('bios.bootOrder'), nics),
    enterSetup: reader.flag('bios.forceSetupOnce', false),
    bootDelayMilliseconds: reader.integer('bios.bootDelay', 0, 0, 10_000_000),
    cpuAllocation: readAllocation(reader, 'sched.cpu', 1000 * reader.integer('numvcpus', 1, 1, 768)),
    memoryAllocation: readAllocation(reader, 'sched.mem', 10 * reader.integer('memSize', 32, 4, 24 << 20)),
    changeTracking: reader.flag('ctkEnabled', false),
    template: reader.flag('template', false),
    hasVApp: reader.flag('hypostyle.vApp', false),
    extra: vmx.entries().filter(([key]) => !isKnownKey(key)),
  };
}

class Reader {
  readonly vmx: VmxFile;

  constructor(vmx: VmxFile) {
    this.vmx = vmx;
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.vmx.get(key)?.toLowerCase();
    return value === undefined ? otherwise : value === 'true' || value === '1' || value === 'yes';
  }

  integer(key: string, otherwise: number, least: number, most: number): number {
    const text = this.vmx.get(key);
    if (text === undefined || text === '') return otherwise;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw new HostError('vmx-invalid', `${key} is "${text}"; it must be a number from ${least} to ${most}`);
    }
    return value;
  }
}

function readBus(
  reader: Reader,
  family: ControllerFamily,
  bus: number,
  controllers: Controller[],
  disks: Disk[],
  cdroms: Cdrom[],
): void {
  const prefix = `${family}${bus}`;
  // The two IDE channels are part of the chipset: no key says that they are there.
  if (family !== 'ide' && !reader.flag(`${prefix}.present`, false)) return;
  const key = controllerKey(family, bus);
  const sharedBus = family === 'scsi' ? reader.vmx.get(`${prefix}.sharedBus`)?.toLowerCase() : undefined;
  controllers.push({
    key,
    family,
    model: controllerModel(reader, family, prefix),
    bus,
    ...(sharedBus === 'virtual' || sharedBus === 'physical' ? { sharedBus } : {}),
  });
  for (let unit = 0; unit < families[family].unitsPerBus; unit += 1) {
    const device = `${prefix}:${unit}`;
    if (!reader.flag(`${device}.present`, false)) continue;
    const type = reader.vmx.get(`${device}.deviceType`)?.toLowerCase() ?? '';
    const fileName = reader.vmx.get(`${device}.fileName`) ?? '';
    const common = { key: deviceKey(family, bus, unit), controllerKey: key, unit };
    if (type.startsWith('cdrom') || type.startsWith('atapi')) {
      const kind = type === 'cdrom-image' ? 'iso' : type.startsWith('atapi') ? 'atapi' : 'passthrough';
      const image = kind === 'iso' && fileName !== '' ? fileName : undefined;
      cdroms.push({ ...common, kind, fileName: image, startConnected: reader.flag(`${device}.startConnected`, true) });
    } else {
      if (fileName === '') throw new HostError('device-invalid', `${device} names no disk file`);
      const mode = diskMode(reader.vmx.get(`${device}.mode`));
      const writeThrough = reader.flag(`${device}.writeThrough`, false);
      const tracked = reader.flag(`${device}.ctkEnabled`, true);
      const multiWriter = reader.vmx.get(`${device}.sharing`)?.toLowerCase() === 'multi-writer';
      const shared = multiWriter ? { multiWriter } : {};
      disks.push({ ...common, fileName, mode, writeThrough, tracked, ...shared, ...readDiskIo(reader.vmx, device) });
    }
  }
}

function controllerModel(reader: Reader, family: ControllerFamily, prefix: string): Controller['model'] {
  if (family === 'ide') return 'ide';
  if (family === 'sata') return 'ahci';
  if (family === 'nvme') return 'nvme';
  const name = (reader.vmx.get(`${prefix}.virtualDev`) ?? 'buslogic').toLowerCase();
  if (name in scsiModels) return scsiModels[name as keyof typeof scsiModels];
  throw new HostError('device-invalid', `${prefix}.virtualDev is "${name}", which is no SCSI controller`);
}

function diskMode(text: string | undefined): Disk['mode'] {
  const mode = text?.toLowerCase().replace('-', '_');
  if (mode === 'independent_persistent' || mode === 'independent_nonpersistent') return mode;
  return 'persistent';
}

const vmxNicModels: Readonly<Record<string, NicModel>> = {
  vlance: 'vlance',
  // Flexible and vmxnet 2 begin life as a vlance, which every guest of theirs drives.
  vmxnet: 'vlance',
  flexible: 'vlance',
};

function readNics(reader: Reader): Nic[] {
  const nics: Nic[] = [];
  for (let number = 0; number < maximumNics; number += 1) {
    const prefix = `ethernet${number}`;
    if (!reader.flag(`${prefix}.present`, false)) continue;
    const name = (reader.vmx.get(`${prefix}.virtualDev`) ?? 'vlance').toLowerCase();
    const model = vmxNicModels[name] ?? nicModels.find((known) => known === name);
    if (model === undefined) {
      throw new HostError('device-invalid', `${prefix}.virtualDev is "${name}", which is no network adapter`);
    }
    const typeText = reader.vmx.get(`${prefix}.addressType`)?.toLowerCase();
    const addressType = typeText === 'static' || typeText === 'vpx' ? typeText : 'generated';
    const address = addressType === 'static' ? 'address' : 'generatedAddress';
    nics.push({
      key: nicKey(number),
      number,
      model,
      networkName: reader.vmx.get(`${prefix}.networkName`) ?? 'VM Network',
      addressType,
      mac: (reader.vmx.get(`${prefix}.${address}`) ?? '').toLowerCase(),
      startConnected: reader.flag(`${prefix}.startConnected`, true),
      wakeOnLan: reader.flag(`${prefix}.wakeOnPcktRcv`, false),
      forwards: (reader.vmx.get(`${prefix}.forwards`) ?? '').split(',').filter((text) => text !== ''),
      ...readBandwidth(reader.vmx, prefix),
    });
  }
  return nics;
}

function readSerials(reader: Reader): Serial[] {
  const serials: Serial[] = [];
  for (let number = 0; number < maximumSerials; number += 1) {
    const prefix = `serial${number}`;
    if (!reader.flag(`${prefix}.present`, false)) continue;
    const type = reader.vmx.get(`${prefix}.fileType`)?.toLowerCase();
    serials.push({
      key: serialKey(number),
      number,
      kind: type === 'file' || type === 'pipe' || type === 'network' ? type : 'device',
      fileName: reader.vmx.get(`${prefix}.fileName`) ?? '',
      startConnected: reader.flag(`${prefix}.startConnected`, true),
      yieldOnPoll: reader.flag(`${prefix}.yieldOnMsrRead`, true),
    });
  }
  return serials;
}

function readFloppies(reader: Reader): Floppy[] {
  const floppies: Floppy[] = [];
  for (let number = 0; number < 2; number += 1) {
    const prefix = `floppy${number}`;
    // VMware takes the first floppy drive as there unless the file says otherwise; only what is named is shown.
    if (!reader.flag(`${prefix}.present`, false)) continue;
    const isFile = reader.vmx.get(`${prefix}.fileType`)?.toLowerCase() === 'file';
    const fileName = reader.vmx.get(`${prefix}.fileName`);
    floppies.push({
      key: floppyKey(number),
      number,
      fileName: isFile && fileName ? fileName : undefined,
      startConnected: reader.flag(`${prefix}.startConnected`, true),
    });
  }
  return floppies;
}

const bootNames = { hdd: 'disk', cdrom: 'cdrom', ethernet: 'ethernet', floppy: 'floppy', allow: undefined } as const;

function readBootOrder(text: string | undefined): MachineConfiguration['bootOrder'] {
  if (text === undefined) return [];
  const names = text.split(',').map(
    (word) =>
      bootNames[
        word
          .trim()
          .toLowerCase()
          .replace(/(?::.*|\d+)$/, '') as keyof typeof bootNames
      ],
  );
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** `scsi0:1,sata0:0`: what is no disk of the machine is passed over. */
function readBootDisks(text: string | undefined, disks: readonly Disk[], controllers: readonly Controller[]): number[] {
  const keys = (text ?? '').split(',').map((word) => {
    const [, family, bus, unit] = /^\s*([a-z]+)(\d+):(\d+)\s*$/i.exec(word) ?? [];
    const controller = controllers.find((one) => one.family === family?.toLowerCase() && one.bus === Number(bus));
    return disks.find((disk) => disk.controllerKey === controller?.key && disk.unit === Number(unit))?.key;
  });
  return [...new Set(keys.filter((key) => key !== undefined))];
}

function readBootNics(text: string | undefined, nics: readonly Nic[]): number[] {
  const numbers = (text ?? '').split(',').map((word) => /^\s*ethernet(\d+)\s*$/i.exec(word)?.[1]);
  const keys = numbers.map((number) => nics.find((nic) => String(nic.number) === number)?.key);
  return [...new Set(keys.filter((key) => key !== undefined))];
}

const normalShares = { low: 0.5, normal: 1, high: 2 } as const;

function readAllocation(reader: Reader, prefix: string, normal: number): Allocation {
  const shares = (reader.vmx.get(`${prefix}.shares`) ?? 'normal').toLowerCase();
  const level = shares === 'low' || shares === 'normal' || shares === 'high' ? shares : 'custom';
  const limit = reader.vmx.get(`${prefix}.max`) ?? '-1';
  return {
    reservation: reader.integer(`${prefix}.min`, 0, 0, 2 ** 40),
    limit: limit.toLowerCase() === 'unlimited' ? -1 : reader.integer(`${prefix}.max`, -1, -1, 2 ** 40),
    level,
    shares:
      level === 'custom' ? reader.integer(`${prefix}.shares`, normal, 0, 1_000_000) : normal * normalShares[level],
  };
}

/** `56 4d 08 26 …-…` as VMware writes it; empty when there is none. */
function uuidFromVmx(text: string | undefined): string {
  const digits = (text ?? '').toLowerCase().replace(/[^0-9a-f]/g, '');
  if (digits.length !== 32) return '';
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export function uuidToVmx(uuid: string): string {
  const bytes = uuid.replaceAll('-', '').match(/../g) ?? [];
  return `${bytes.slice(0, 8).join(' ')}-${bytes.slice(8).join(' ')}`;
}
