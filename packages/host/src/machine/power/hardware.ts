import { basename, dirname, join } from 'node:path';
import type {
  BlockLayer,
  CdromHardware,
  DiskHardware,
  FloppyHardware,
  MachineHardware,
  NicHardware,
  PortForward,
  SerialHardware,
} from '@hypostyle/contracts';
import { splitPath } from '@hypostyle/services';
import { diskIo } from '../../configuration/disk-io.ts';
import { equipmentOf } from '../../configuration/equipment.ts';
import type { MachineConfiguration, Nic } from '../../configuration/machine-configuration.ts';
import { nicBandwidth } from '../../configuration/nic-bandwidth.ts';
import { parseForward } from '../../configuration/port-forward.ts';
import { setting } from '../../configuration/settings.ts';
import { isShared } from '../../configuration/shared-disk.ts';
import { HostError } from '../../errors.ts';
import { isConnected, type MachineRecord } from '../record/machine-record.ts';

export interface HardwareOptions {
  /** Layers of each disk by device key, top first. */
  readonly layers: ReadonlyMap<number, readonly BlockLayer[]>;
  /** Absolute path of an image that a CD-ROM names. */
  imagePath(fileName: string): string;
  /** False: the network is no network of ours, and the NIC is built without a link. */
  networkExists(name: string): boolean;
  /** Most that a machine may have here. */
  readonly limits: { readonly cpus: number; readonly memoryMiB: number };
}

/** How often over a machine may grow while it runs: address space and tables are kept for it from the start. */
const growth = { cpus: 8, memory: 16 } as const;

/** What a machine may grow to while it runs, where its owner wants that. */
export function hotPlugLimits(
  c: Pick<MachineConfiguration, 'cpus' | 'memoryMiB' | 'cpuHotAdd' | 'memoryHotAdd'>,
  { limits }: Pick<HardwareOptions, 'limits'>,
): Pick<MachineHardware, 'hotPlug'> {
  if (!c.cpuHotAdd && !c.memoryHotAdd) return {};
  const maxCpus = c.cpuHotAdd ? Math.max(c.cpus, Math.min(limits.cpus, Math.max(c.cpus * growth.cpus, 16))) : c.cpus;
  const maxMemoryMiB = c.memoryHotAdd
    ? Math.max(c.memoryMiB, Math.min(limits.memoryMiB, c.memoryMiB * growth.memory))
    : c.memoryMiB;
  return { hotPlug: { maxCpus, maxMemoryMiB } };
}

interface Place {
  readonly controllerKey: number;
  readonly unit: number;
}

/** How the engine knows a disk or CD-ROM drive. */
export function diskIdOf({ controllers }: Pick<MachineConfiguration, 'controllers'>, device: Place): string {
  const controller = controllers.find(({ key }) => key === device.controllerKey);
  return `${controller?.family}${controller?.bus}u${device.unit}`;
}

/** What a `.vmx` calls a disk or a CD-ROM, such as `scsi0:0`. */
export function driveNode({ controllers }: Pick<MachineConfiguration, 'controllers'>, device: Place): string {
  const controller = controllers.find(({ key }) => key === device.controllerKey);
  return `${controller?.family}${controller?.bus}:${device.unit}`;
}

/** The machine as an engine must build it. Throws `device-invalid` for a forward that cannot be read. */
export function machineHardware(machine: MachineRecord, options: HardwareOptions): MachineHardware {
  const { configuration: c } = machine;
  const folder = machine.datastore.absolute(splitPath(machine.vmxPath).folder);
  const controllerIds = new Map(
    c.controllers.map((controller) => [controller.key, `${controller.family}${controller.bus}`]),
  );
  const idOf = (device: Place) => diskIdOf(c, device);
  const used = new Set([...c.disks, ...c.cdroms].map((device) => device.controllerKey));
  const disks = c.disks.map(
    (disk): DiskHardware => ({
      id: idOf(disk),
      controllerId: controllerIds.get(disk.controllerKey) ?? '',
      unit: disk.unit,
      layers: options.layers.get(disk.key) ?? [],
      readOnly: false,
      discardWrites: disk.mode === 'independent_nonpersistent',
      // What is not checked yet is checked as it is read.
      ...(options.layers.get(disk.key)?.some(({ offset }) => offset !== undefined) ? { pauseOnReadError: true } : {}),
      ...(disk.writeThrough ? { writeThrough: true } : {}),
      ...(isShared(c, disk) ? { shared: true } : {}),
      ...(diskIo(disk).limit < 0 ? {} : { operationsPerSecond: Math.max(1, diskIo(disk).limit) }),
      ...diskSerial(machine, disk.key),
    }),
  );
  const cdroms = c.cdroms.map(
    (cdrom): CdromHardware => ({
      id: idOf(cdrom),
      controllerId: controllerIds.get(cdrom.controllerKey) ?? '',
      unit: cdrom.unit,
      ...(cdrom.fileName !== undefined && isConnected(machine, cdrom)
        ? { path: options.imagePath(cdrom.fileName) }
        : {}),
    }),
  );
  const nics = c.nics.map((nic) => nicHardware(machine, nic, options));
  const floppies = c.floppies.map(
    (floppy): FloppyHardware => ({
      id: `floppy${floppy.number}`,
      unit: floppy.number,
      ...(floppy.fileName !== undefined && isConnected(machine, floppy)
        ? { path: options.imagePath(floppy.fileName) }
        : {}),
    }),
  );
  const { usb, ehci, xhci, sound, videoRamKiB, tpm } = equipmentOf(c);
  return {
    uuid: c.uuid,
    name: c.name,
    firmware: c.firmware,
    cpus: c.cpus,
    coresPerSocket: c.coresPerSocket,
    memoryMiB: c.memoryMiB,
    guestId: c.guestId,
    controllers: c.controllers
      .filter((controller) => controller.family !== 'ide' || used.has(controller.key))
      .map(({ family, model, bus }) => ({ id: `${family}${bus}`, model, bus })),
    disks,
    cdroms,
    nics,
    serials: c.serials.map(
      (serial): SerialHardware => ({
        id: `serial${serial.number}`,
        ...(serial.kind === 'file' && serial.fileName !== ''
          ? { logPath: join(folder, serialLogName(serial.fileName)) }
          : {}),
      }),
    ),
    floppies,
    ...(usb || xhci ? { usb: { uhci: usb, ehci, xhci } } : {}),
    ...(sound === undefined ? {} : { sound }),
    ...(tpm ? { tpm: { statePath: join(folder, tpmName(machine.vmxPath)) } } : {}),
    videoMemoryMiB: videoRamKiB / 1024,
    ...hotPlugLimits(c, options),
    balloon: true,
    rng: true,
    vmport: true,
    guestAgent: true,
    bootOrder: bootOrder(c, { disks, cdroms, nics, floppies }),
    enterSetup: c.enterSetup,
    ...(c.bootDelayMilliseconds > 0 ? { bootDelayMilliseconds: c.bootDelayMilliseconds } : {}),
    ...(setting(c, 'bootRetryEnabled') ? { bootRetryMilliseconds: setting(c, 'bootRetryDelay') } : {}),
    nvramPath: nvramPathOf(c, join(folder, splitPath(machine.vmxPath).name)),
    clock: c.guestId.startsWith('win') ? 'localtime' : 'utc',
  };
}

/** The file in which a machine's TPM keeps what it has, beside the `.vmx`. */
export function tpmName(vmxPath: string): string {
  return `${splitPath(vmxPath).name.replace(/\.vmx$/i, '')}.tpm`;
}

/** Where the firmware keeps what it remembers, beside the `.vmx` at an absolute path. */
export function nvramPathOf({ nvram }: Pick<MachineConfiguration, 'nvram'>, vmxPath: string): string {
  // A name only: a `.vmx` that came from elsewhere may name any path.
  const name = splitPath(nvram).name || `${basename(vmxPath).replace(/\.vmx$/i, '')}.nvram`;
  return join(dirname(vmxPath), name);
}

/** First what the machine's owner wants, in that order, then what is left. */
function bootOrder(
  c: MachineConfiguration,
  { disks, cdroms, nics, floppies }: Required<Pick<MachineHardware, 'disks' | 'cdroms' | 'nics' | 'floppies'>>,
): string[] {
  const loaded = (drive: { readonly path?: string }) => drive.path !== undefined;
  const ids = (devices: readonly { readonly id: string }[]) => devices.map(({ id }) => id);
  const all = {
    disk: ids(disks),
    cdrom: ids(cdroms.filter(loaded)),
    ethernet: ids(nics),
    floppy: ids(floppies.filter(loaded)),
  };
  const named = {
    disk: c.bootDisks.flatMap((key) => c.disks.filter((disk) => disk.key === key).map((disk) => diskIdOf(c, disk))),
    ethernet: c.bootNics.flatMap((key) =>
      c.nics.filter((nic) => nic.key === key).map((nic) => `ethernet${nic.number}`),
    ),
  };
  const wanted = c.bootOrder.flatMap((name) => {
    const some = name === 'disk' || name === 'ethernet' ? named[name] : [];
    return some.length > 0 ? some : all[name];
  });
  return [...new Set([...wanted, ...all.disk, ...all.cdrom, ...all.ethernet])];
}

/** What the guest sees as the disk's serial number when `disk.EnableUUID` is set. */
function diskSerial(machine: MachineRecord, key: number): { readonly serial?: string } {
  const uuid = machine.disks.get(key)?.uuid;
  if (!setting(machine.configuration, 'diskUuidEnabled') || uuid === undefined) return {};
  return { serial: uuid.replaceAll('-', '').slice(0, 20) };
}

function nicHardware(machine: MachineRecord, nic: Nic, options: HardwareOptions): NicHardware {
  const exists = options.networkExists(nic.networkName);
  return {
    id: `ethernet${nic.number}`,
    model: nic.model,
    mac: nic.mac,
    slot: nic.number,
    ...(nicBandwidth(nic).limit < 0 ? {} : { bitsPerSecond: nicBandwidth(nic).limit * 1_000_000 }),
    connected: isConnected(machine, nic) && exists,
    network: exists ? { kind: 'nat', forwards: nic.forwards.map(forwardOf) } : { kind: 'none' },
  };
}

/** File of a serial port: a name in the machine's folder, and none of what the machine itself is made of. */
function serialLogName(fileName: string): string {
  const { name } = splitPath(fileName.replace(/^\[[^\]]*\] */, ''));
  if (/\.(vmdk|qcow2|vmx|vmxf|nvram|vmss|vmsn|vmsd|lck|iso)$/i.test(name) || name.startsWith('.')) {
    throw new HostError('device-invalid', `a serial port cannot write to ${name}; name it something.log`);
  }
  return name;
}

/** Forwards of a `.vmx` that came from elsewhere may be anything. */
function forwardOf(text: string): PortForward {
  const forward = parseForward(text);
  if (forward === undefined)
    throw new HostError('device-invalid', `'${text}' is no forward; write it as tcp:127.0.0.1:8080:80`);
  return forward;
}
