import { type MachineHardware, type MachinePlatform, nicModels } from '@hypostyle/contracts';
import { qemuErrors } from '../errors.ts';
import type { BlockNode } from './block-graph.ts';
import { type Device, deviceId, pciAddress, pciSlot } from './device.ts';
import { bootProperty, driveArguments } from './drives.ts';
import { equipmentDevices } from './equipment.ts';
import { lockConflictCode } from './lock-conflict.ts';
import { type AddedMemory, memoryDevice } from './memory-devices.ts';
import { nicArguments } from './nics.ts';
import type { RunDirectory } from './run-directory.ts';
import { tpmDevice } from './tpm.ts';

const idPattern = /^[A-Za-z][A-Za-z0-9._-]{0,30}$/;
const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** The firmware's names have 55 characters at most, `opt/` with them. */
const guestDataPattern = /^[\w.-]{1,50}$/;
const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
/** Time that a person has to press the key for the firmware's setup, milliseconds. */
const setupWaitMs = 15_000;
const maxSerials = 4;
/** How often memory can be added to a machine that runs. */
const memorySlots = 32;

export interface CommandLineOptions {
  readonly program: string;
  readonly hardware: MachineHardware;
  readonly platform: MachinePlatform;
  readonly accelerator: 'kvm' | 'tcg';
  readonly memoryKiB: number;
  readonly run: RunDirectory;
  readonly lockPath: string;
  /** Code and variables of the EFI firmware; must be there when `hardware.firmware` is `efi`. */
  readonly efi?: { readonly codePath: string; readonly variablesPath: string };
  /** Disk ids whose top layer's file system takes O_DIRECT. */
  readonly directIo: ReadonlySet<string>;
  /** Temporary overlays by disk id, for disks with `discardWrites`. */
  readonly discardFiles: ReadonlyMap<string, string>;
  /** Memory that came before the guest was suspended, in the places that it had. */
  readonly addedMemory?: readonly AddedMemory[];
  /** The guest goes on from a memory image that comes in later. */
  readonly incoming: boolean;
}

/**
 * Memory that the engine is given, KiB. QEMU before 9.0 loses dirty pages under TCG when it is a multiple of 256 KiB
 * (fixed by 03bfc2188f), which breaks suspend; so a little less.
 */
export function engineMemoryKiB(memoryMiB: number, accelerator: 'kvm' | 'tcg'): number {
  return memoryMiB * 1024 - (accelerator === 'tcg' ? 8 : 0);
}

/** Program and arguments that build the machine, stopped, under its lock. Throws `unsupported-hardware`. */
export function commandLine(options: CommandLineOptions): string[] {
  const { hardware, run } = options;
  checkNames(hardware);
  const drives = driveArguments(options);
  const bootIndex = (id: string) => bootProperty(hardware, id).bootindex;
  const nics = hardware.nics.map((nic, index) => nicArguments(nic, index, bootIndex(nic.id)));
  const memory = (options.addedMemory ?? []).map(memoryDevice);
  const devices: Device[] = [
    { driver: 'VGA', addr: pciAddress(pciSlot.display), vgamem_mb: hardware.videoMemoryMiB ?? 16 },
    { driver: 'pvpanic' },
    ...optionalDevices(hardware),
    ...equipmentDevices(hardware),
    ...(hardware.tpm ? [tpmDevice(hardware)] : []),
    ...drives.devices,
    ...nics.map((nic) => nic.device),
    ...memory.map(({ device }) => device),
    ...hardware.serials.map((_, index) => ({ driver: 'isa-serial', index, chardev: `serial${index}` })),
  ];
  return [
    // The lock lives exactly as long as the engine: its descriptor passes through exec.
    ...['flock', '--no-fork', '--nonblock', '--conflict-exit-code', `${lockConflictCode}`, options.lockPath],
    options.program,
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-msg', 'timestamp=on'],
    ...['-name', `guest=${escapeComma(hardware.name)} ${hardware.uuid},debug-threads=on`],
    ...['-uuid', hardware.uuid, '-smbios', `type=1,uuid=${hardware.uuid}`],
    ...['-machine', machineProperties(options), '-accel', accelerator(options.accelerator)],
    ...['-cpu', options.platform.cpuModel, '-smp', topology(hardware), '-m', memorySize(options)],
    ...['-rtc', `base=${hardware.clock},clock=host${isWindows(hardware.guestId) ? ',driftfix=slew' : ''}`],
    ...['-boot', bootProperties(hardware)],
    ...['-no-shutdown', '-action', 'panic=none', '-S'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...(options.incoming ? ['-incoming', 'defer'] : []),
    ...monitor('owner', run.monitor),
    ...monitor('rescue', run.rescueMonitor),
    ...['-vnc', `unix:${escapeComma(run.vnc)},share=force-shared`],
    ...hardware.serials.flatMap(({ logPath }, index) => [
      '-chardev',
      `${serverSocket(`serial${index}`, run.serial(index))}${logPath ? `,logfile=${escapeComma(logPath)},logappend=on` : ''}`,
    ]),
    ...(hardware.sound ? ['-audiodev', 'none,id=sound'] : []),
    ...(hardware.tpm
      ? ['-chardev', `socket,id=tpm,path=${escapeComma(run.tpm)}`, '-tpmdev', 'emulator,id=tpm,chardev=tpm']
      : []),
    ...(hardware.guestAgent ? ['-chardev', serverSocket('agent', run.agent)] : []),
    ...(hardware.guestData ?? []).flatMap(({ name, path }) => [
      '-fw_cfg',
      `name=opt/${name},file=${escapeComma(path)}`,
    ]),
    ...nics.flatMap(({ netdev }) => (netdev ? ['-netdev', netdev] : [])),
    ...(hardware.rng
      ? ['-object', JSON.stringify({ 'qom-type': 'rng-random', id: 'entropy', filename: '/dev/urandom' })]
      : []),
    ...memory.flatMap(({ backend }) => ['-object', JSON.stringify(backend)]),
    ...[...efiNodes(options), ...drives.nodes].flatMap((node) => ['-blockdev', JSON.stringify(node)]),
    ...devices.flatMap((device) => ['-device', JSON.stringify(device)]),
  ];
}

function checkNames(hardware: MachineHardware): void {
  const { controllers, disks, cdroms, nics, floppies = [], videoMemoryMiB = 16 } = hardware;
  if (!Number.isInteger(Math.log2(videoMemoryMiB)) || videoMemoryMiB < 1 || videoMemoryMiB > 256)
    throw qemuErrors.unsupported(`${videoMemoryMiB} MiB of video memory: a power of two from 1 to 256 is possible.`);
  if (!uuidPattern.test(hardware.uuid))
    throw qemuErrors.unsupported(`UUID ${hardware.uuid} is not lower-case 8-4-4-4-12.`);
  if (/[\0-\x1f\x7f]/.test(hardware.name)) throw qemuErrors.unsupported('The name has control characters.');
  if (hardware.serials.length > maxSerials)
    throw qemuErrors.unsupported(`A machine has ${maxSerials} serial ports at most.`);
  for (const list of [controllers, disks, cdroms, nics, floppies]) {
    const seen = new Set<string>();
    for (const { id } of list) {
      if (!idPattern.test(id))
        throw qemuErrors.unsupported(`Id ${JSON.stringify(id)}: letters, digits, ., _ and - only.`);
      if (seen.has(id)) throw qemuErrors.unsupported(`Id ${id} is there twice.`);
      seen.add(id);
    }
  }
  const told = hardware.guestData?.map(({ name }) => name) ?? [];
  for (const name of told)
    if (!guestDataPattern.test(name) || told.indexOf(name) !== told.lastIndexOf(name))
      throw qemuErrors.unsupported(`Guest data ${JSON.stringify(name)}: up to 50 letters, digits, ., _ and -, once.`);
  for (const { id, mac, model } of nics) {
    if (!macPattern.test(mac)) throw qemuErrors.unsupported(`NIC ${id}: ${mac} is no MAC address.`);
    if (!nicModels.includes(model)) throw qemuErrors.unsupported(`NIC ${id}: no model ${String(model)}.`);
  }
}

function optionalDevices(hardware: MachineHardware): Device[] {
  return [
    // A console's absolute pointer: VMware's mouse comes with its port. The firmware waits 100 ms for USB.
    ...(hardware.vmport
      ? []
      : [
          { driver: 'qemu-xhci', id: 'usb', addr: pciAddress(pciSlot.pointer) },
          { driver: 'usb-tablet', bus: 'usb.0' },
        ]),
    ...(hardware.guestAgent
      ? [
          { driver: 'virtio-serial-pci', id: 'agent-bus', addr: pciAddress(pciSlot.virtioSerial) },
          {
            driver: 'virtserialport',
            id: deviceId.agentPort,
            bus: 'agent-bus.0',
            chardev: 'agent',
            name: 'org.qemu.guest_agent.0',
          },
        ]
      : []),
    ...(hardware.balloon
      ? [{ driver: 'virtio-balloon-pci', id: 'balloon', addr: pciAddress(pciSlot.balloon), 'deflate-on-oom': true }]
      : []),
    ...(hardware.rng ? [{ driver: 'virtio-rng-pci', rng: 'entropy', addr: pciAddress(pciSlot.rng) }] : []),
  ];
}

function efiNodes({ hardware, efi }: CommandLineOptions): BlockNode[] {
  if (hardware.firmware !== 'efi' || !efi) return [];
  return [
    { driver: 'file', 'node-name': 'efi-code-file', filename: efi.codePath, 'read-only': true },
    { driver: 'raw', 'node-name': 'efi-code', file: 'efi-code-file', 'read-only': true },
    { driver: 'file', 'node-name': 'efi-variables-file', filename: efi.variablesPath, 'read-only': false },
    { driver: 'raw', 'node-name': 'efi-variables', file: 'efi-variables-file', 'read-only': false },
  ];
}

function machineProperties({ hardware, platform, efi }: CommandLineOptions): string {
  const properties = [escapeComma(platform.machineType), `vmport=${hardware.vmport ? 'on' : 'off'}`];
  if (hardware.firmware === 'efi') {
    if (!efi) throw qemuErrors.startFailed('The machine wants EFI and no firmware was given.');
    properties.push('pflash0=efi-code', 'pflash1=efi-variables');
  }
  return properties.join(',');
}

function accelerator(kind: 'kvm' | 'tcg'): string {
  return kind === 'kvm' ? 'kvm' : 'tcg,thread=multi';
}

function topology({ cpus, coresPerSocket, hotPlug }: MachineHardware): string {
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > 255)
    throw qemuErrors.unsupported(`${cpus} CPUs: 1 to 255 are possible.`);
  const cores = coresPerSocket >= 1 && cpus % coresPerSocket === 0 ? coresPerSocket : 1;
  const most = hotPlug ? Math.max(cpus, Math.floor(hotPlug.maxCpus / cores) * cores) : cpus;
  if (most > 255) throw qemuErrors.unsupported(`${most} CPUs: 1 to 255 are possible.`);
  return `cpus=${cpus},sockets=${most / cores},cores=${cores},threads=1${most > cpus ? `,maxcpus=${most}` : ''}`;
}

/** Memory that is there, and room for more to come. */
function memorySize({ hardware: { hotPlug, memoryMiB }, memoryKiB }: CommandLineOptions): string {
  if (!hotPlug || hotPlug.maxMemoryMiB <= memoryMiB) return `${memoryKiB}K`;
  return `size=${memoryKiB}K,slots=${memorySlots},maxmem=${hotPlug.maxMemoryMiB}M`;
}

function bootProperties(hardware: MachineHardware): string {
  const { bootOrder, enterSetup, bootDelayMilliseconds = 0, bootRetryMilliseconds } = hardware;
  // Firmware waits with the key for its menu on the screen; it takes 16 bits of milliseconds.
  const wait = Math.min(enterSetup ? Math.max(setupWaitMs, bootDelayMilliseconds) : bootDelayMilliseconds, 65_535);
  const words = [
    wait > 0 ? `menu=on,splash-time=${wait}` : 'menu=off',
    ...(bootRetryMilliseconds === undefined ? [] : [`reboot-timeout=${Math.min(bootRetryMilliseconds, 65_535)}`]),
    ...(bootOrder.length > 0 ? ['strict=on'] : []),
  ];
  return words.join(',');
}

function monitor(name: string, path: string): string[] {
  const id = `${name}-monitor`;
  return ['-chardev', serverSocket(id, path), '-mon', `chardev=${id},mode=control`];
}

function serverSocket(id: string, path: string): string {
  return `socket,id=${id},path=${escapeComma(path)},server=on,wait=off`;
}

/** In the engine's option lists a comma within a value is doubled. */
function escapeComma(text: string): string {
  return text.replaceAll(',', ',,');
}

export function isWindows(guestId: string): boolean {
  return /^win/i.test(guestId);
}
