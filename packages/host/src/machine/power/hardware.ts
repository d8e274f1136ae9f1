import { join } from 'node:path';
import type {
  BlockLayer,
  CdromHardware,
  DiskHardware,
  MachineHardware,
  NicHardware,
  PortForward,
  SerialHardware,
} from '@hypostyle/contracts';
import { splitPath } from '@hypostyle/services';
import type { MachineConfiguration, Nic } from '../../configuration/machine-configuration.ts';
import { parseForward } from '../../configuration/port-forward.ts';
import { HostError } from '../../errors.ts';
import type { MachineRecord } from '../record/machine-record.ts';

export interface HardwareOptions {
  /** Layers of each disk by device key, top first. */
  readonly layers: ReadonlyMap<number, readonly BlockLayer[]>;
  /** Absolute path of an image that a CD-ROM names. */
  imagePath(fileName: string): string;
  /** False: the network is no network of ours, and the NIC is built without a link. */
  networkExists(name: string): boolean;
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
      ...diskSerial(machine, disk.key),
    }),
  );
  const cdroms = c.cdroms.map(
    (cdrom): CdromHardware => ({
      id: idOf(cdrom),
      controllerId: controllerIds.get(cdrom.controllerKey) ?? '',
      unit: cdrom.unit,
      ...(cdrom.fileName !== undefined && cdrom.startConnected ? { path: options.imagePath(cdrom.fileName) } : {}),
    }),
  );
  const nics = c.nics.map((nic) => nicHardware(nic, options));
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
    balloon: true,
    rng: true,
    vmport: true,
    guestAgent: true,
    bootOrder: bootOrder(c, disks, cdroms, nics),
    enterSetup: c.enterSetup,
    // A name only: a `.vmx` that came from elsewhere may name any path.
    nvramPath: join(
      folder,
      splitPath(c.nvram).name || `${splitPath(machine.vmxPath).name.replace(/\.vmx$/i, '')}.nvram`,
    ),
    clock: c.guestId.startsWith('win') ? 'localtime' : 'utc',
  };
}

function bootOrder(
  c: MachineConfiguration,
  disks: readonly DiskHardware[],
  cdroms: readonly CdromHardware[],
  nics: readonly NicHardware[],
): string[] {
  const classes = {
    disk: disks,
    cdrom: cdroms.filter((cdrom) => cdrom.path !== undefined),
    ethernet: nics,
    floppy: [],
  };
  const order = c.bootOrder.length > 0 ? c.bootOrder : (['disk', 'cdrom', 'ethernet'] as const);
  return order.flatMap((name) => classes[name].map((device) => device.id));
}

/** What the guest sees as the disk's serial number when `disk.EnableUUID` is set. */
function diskSerial(machine: MachineRecord, key: number): { readonly serial?: string } {
  const enabled = machine.configuration.extra.find(([name]) => name.toLowerCase() === 'disk.enableuuid')?.[1];
  const uuid = machine.disks.get(key)?.uuid;
  if (enabled?.toLowerCase() !== 'true' || uuid === undefined) return {};
  return { serial: uuid.replaceAll('-', '').slice(0, 20) };
}

function nicHardware(nic: Nic, options: HardwareOptions): NicHardware {
  const exists = options.networkExists(nic.networkName);
  return {
    id: `ethernet${nic.number}`,
    model: nic.model,
    mac: nic.mac,
    connected: nic.startConnected && exists,
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
