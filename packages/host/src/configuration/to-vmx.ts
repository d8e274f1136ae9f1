import type { VmxFile } from '../vmx/vmx-file.ts';
import { writeDiskIo } from './disk-io.ts';
import { uuidToVmx } from './from-vmx.ts';
import type { GuestOsNames } from './guest-os.ts';
import type { Allocation, MachineConfiguration } from './machine-configuration.ts';
import { writeBandwidth } from './nic-bandwidth.ts';
import { isKnownKey } from './vmx-keys.ts';

const flag = (value: boolean): string => (value ? 'TRUE' : 'FALSE');

/** Writes the configuration into the file: known keys are set or taken away, unknown keys stay where they are. */
export function writeConfiguration(vmx: VmxFile, machine: MachineConfiguration, guestOs: GuestOsNames): void {
  const writer = new Writer(vmx);
  writer.text('displayName', machine.name);
  if (guestOs.identifier(vmx.get('guestOS') ?? '') !== machine.guestId) {
    writer.text('guestOS', guestOs.vmxName(machine.guestId));
  }
  writer.text('virtualHW.version', String(machine.hardwareVersion));
  writer.text('uuid.bios', machine.uuid && uuidToVmx(machine.uuid));
  writer.text('vc.uuid', machine.instanceUuid && uuidToVmx(machine.instanceUuid));
  writer.text('annotation', machine.annotation);
  writer.text('memSize', String(machine.memoryMiB));
  writer.unless('numvcpus', String(machine.cpus), '1');
  writer.unless('cpuid.coresPerSocket', String(machine.coresPerSocket), '1');
  writer.unless('firmware', machine.firmware, 'bios');
  writer.unless('uefi.secureBoot.enabled', flag(machine.secureBoot), 'FALSE');
  writer.unless('vcpu.hotadd', flag(machine.cpuHotAdd), 'FALSE');
  writer.unless('mem.hotadd', flag(machine.memoryHotAdd), 'FALSE');
  writer.unless('bios.forceSetupOnce', flag(machine.enterSetup), 'FALSE');
  writer.unless('bios.bootDelay', String(machine.bootDelayMilliseconds), '0');
  writer.unless('ctkEnabled', flag(machine.changeTracking), 'FALSE');
  writer.unless('template', flag(machine.template), 'FALSE');
  writer.text('hypostyle.vApp', machine.hasVApp ? 'TRUE' : '');
  writeBootOrder(writer, machine);
  writer.text('nvram', machine.nvram);
  writeAllocation(writer, 'sched.cpu', machine.cpuAllocation);
  writeAllocation(writer, 'sched.mem', machine.memoryAllocation);
  writeStorage(writer, machine);
  writeNics(writer, machine);
  writeSerials(writer, machine);
  writeFloppies(writer, machine);
  writeExtra(vmx, machine);
}

class Writer {
  readonly vmx: VmxFile;

  constructor(vmx: VmxFile) {
    this.vmx = vmx;
  }

  /** Sets the key; an empty value takes it away. */
  text(key: string, value: string): void {
    if (value === '') this.vmx.delete(key);
    else this.#set(key, value);
  }

  /** Leaves the default unwritten where it was not written before. */
  unless(key: string, value: string, byDefault: string): void {
    if (value !== byDefault || this.vmx.get(key) !== undefined) this.#set(key, value);
  }

  /** Devices of a pattern that are not in `present` go, with all their keys. */
  keepOnly(pattern: RegExp, present: ReadonlySet<string>): void {
    this.vmx.deleteWhere((key) => {
      const device = pattern.exec(key)?.[1];
      return device !== undefined && !present.has(device);
    });
  }

  #set(key: string, value: string): void {
    // TRUE, true and 1 say the same: what the file has stays.
    if (this.vmx.get(key)?.toUpperCase() !== value.toUpperCase() || !/^(TRUE|FALSE)$/i.test(value))
      this.vmx.set(key, value);
  }
}

function writeBootOrder(writer: Writer, machine: MachineConfiguration): void {
  const words = machine.bootOrder.flatMap((name) => {
    if (name === 'disk') return ['hdd'];
    if (name !== 'ethernet' || machine.bootNics.length === 0) return [name];
    return machine.bootNics.map((key) => `ethernet${machine.nics.find((nic) => nic.key === key)?.number}`);
  });
  writer.text('bios.bootOrder', words.join(','));
  const disks = machine.bootDisks.flatMap((key) => {
    const disk = machine.disks.find((one) => one.key === key);
    const controller = machine.controllers.find((one) => one.key === disk?.controllerKey);
    return disk === undefined || controller === undefined ? [] : [`${controller.family}${controller.bus}:${disk.unit}`];
  });
  writer.text('bios.hddOrder', disks.join(','));
}

function writeAllocation(writer: Writer, prefix: string, allocation: Allocation): void {
  writer.unless(`${prefix}.min`, String(allocation.reservation), '0');
  writer.unless(
    `${prefix}.shares`,
    allocation.level === 'custom' ? String(allocation.shares) : allocation.level,
    'normal',
  );
  const limit = allocation.limit < 0 ? 'unlimited' : String(allocation.limit);
  if (!(limit === 'unlimited' && writer.vmx.get(`${prefix}.max`) === '-1'))
    writer.unless(`${prefix}.max`, limit, 'unlimited');
}

function writeStorage(writer: Writer, machine: MachineConfiguration): void {
  const present = new Set<string>();
  const buses = new Map<number, string>();
  for (const controller of machine.controllers) {
    const prefix = `${controller.family}${controller.bus}`;
    buses.set(controller.key, prefix);
    if (controller.family === 'ide') continue;
    present.add(prefix);
    writer.text(`${prefix}.present`, 'TRUE');
    if (controller.family !== 'scsi') continue;
    writer.text(`${prefix}.virtualDev`, controller.model);
    writer.unless(`${prefix}.sharedBus`, controller.sharedBus ?? 'none', 'none');
  }
  for (const disk of machine.disks) {
    const device = `${buses.get(disk.controllerKey)}:${disk.unit}`;
    present.add(device);
    writer.text(`${device}.present`, 'TRUE');
    writer.text(`${device}.fileName`, disk.fileName);
    const family = device.slice(0, device.search(/\d/));
    const deviceType = writer.vmx.get(`${device}.deviceType`) ?? '';
    if (/^(cdrom|atapi)/i.test(deviceType) || deviceType === '') {
      writer.text(`${device}.deviceType`, family === 'ide' ? 'ata-hardDisk' : `${family}-hardDisk`);
    }
    writer.unless(`${device}.mode`, disk.mode.replace('_', '-'), 'persistent');
    writer.unless(`${device}.writeThrough`, flag(disk.writeThrough), 'FALSE');
    writer.unless(`${device}.sharing`, disk.multiWriter === true ? 'multi-writer' : 'none', 'none');
    writeDiskIo(writer, device, disk);
    // Without the machine's own key it says nothing.
    if (machine.changeTracking) writer.text(`${device}.ctkEnabled`, flag(disk.tracked));
  }
  for (const cdrom of machine.cdroms) {
    const device = `${buses.get(cdrom.controllerKey)}:${cdrom.unit}`;
    present.add(device);
    writer.text(`${device}.present`, 'TRUE');
    const type = cdrom.kind === 'iso' ? 'cdrom-image' : cdrom.kind === 'atapi' ? 'atapi-cdrom' : 'cdrom-raw';
    writer.text(`${device}.deviceType`, type);
    if (cdrom.kind === 'iso') writer.text(`${device}.fileName`, cdrom.fileName ?? '');
    // The image that was in it before; libvirt refuses one in a drive of another type.
    else if (/\.iso$/i.test(writer.vmx.get(`${device}.fileName`) ?? '')) writer.text(`${device}.fileName`, '');
    writer.unless(`${device}.startConnected`, flag(cdrom.startConnected), 'TRUE');
  }
  writer.keepOnly(/^sched\.((?:scsi|sata|nvme|ide)\d+:\d+)\./, present);
  writer.keepOnly(/^((?:scsi|sata|nvme|ide)\d+(?::\d+)?)\.(?!pcislotnumber)/, new Set([...present, 'ide0', 'ide1']));
}

function writeNics(writer: Writer, machine: MachineConfiguration): void {
  for (const nic of machine.nics) {
    const prefix = `ethernet${nic.number}`;
    writer.text(`${prefix}.present`, 'TRUE');
    const named = writer.vmx.get(`${prefix}.virtualDev`)?.toLowerCase();
    if (!(nic.model === 'vlance' && (named === undefined || named === 'vmxnet' || named === 'flexible'))) {
      writer.text(`${prefix}.virtualDev`, nic.model);
    }
    writer.text(`${prefix}.networkName`, nic.networkName);
    writer.unless(`${prefix}.addressType`, nic.addressType, '');
    writer.text(`${prefix}.${nic.addressType === 'static' ? 'address' : 'generatedAddress'}`, nic.mac);
    if (nic.addressType === 'static') writer.vmx.delete(`${prefix}.generatedAddress`);
    else writer.vmx.delete(`${prefix}.address`);
    writer.unless(`${prefix}.startConnected`, flag(nic.startConnected), 'TRUE');
    writer.unless(`${prefix}.wakeOnPcktRcv`, flag(nic.wakeOnLan), 'FALSE');
    writer.text(`${prefix}.forwards`, nic.forwards.join(','));
    writeBandwidth(writer, prefix, nic);
  }
  writer.keepOnly(/^(ethernet\d+)\./, new Set(machine.nics.map((nic) => `ethernet${nic.number}`)));
}

function writeSerials(writer: Writer, machine: MachineConfiguration): void {
  for (const serial of machine.serials) {
    const prefix = `serial${serial.number}`;
    writer.text(`${prefix}.present`, 'TRUE');
    writer.text(`${prefix}.fileType`, serial.kind);
    writer.text(`${prefix}.fileName`, serial.fileName);
    writer.unless(`${prefix}.startConnected`, flag(serial.startConnected), 'TRUE');
    writer.unless(`${prefix}.yieldOnMsrRead`, flag(serial.yieldOnPoll), 'TRUE');
  }
  writer.keepOnly(/^(serial\d+)\./, new Set(machine.serials.map((serial) => `serial${serial.number}`)));
}

function writeFloppies(writer: Writer, machine: MachineConfiguration): void {
  const present = new Set(machine.floppies.map((floppy) => `floppy${floppy.number}`));
  for (const floppy of machine.floppies) {
    const prefix = `floppy${floppy.number}`;
    writer.text(`${prefix}.present`, 'TRUE');
    if (floppy.fileName !== undefined) {
      writer.text(`${prefix}.fileType`, 'file');
      writer.text(`${prefix}.fileName`, floppy.fileName);
    }
    writer.unless(`${prefix}.startConnected`, flag(floppy.startConnected), 'TRUE');
  }
  // `floppy0.present = "FALSE"` says that there is none, and stays.
  writer.vmx.deleteWhere((key) => {
    const device = /^(floppy\d+)\./.exec(key)?.[1];
    return device !== undefined && !present.has(device) && !/\.present$/.test(key);
  });
  for (const device of ['floppy0', 'floppy1']) {
    if (!present.has(device) && writer.vmx.get(`${device}.present`) !== undefined)
      writer.text(`${device}.present`, 'FALSE');
  }
}

function writeExtra(vmx: VmxFile, machine: MachineConfiguration): void {
  const wanted = new Set(machine.extra.map(([key]) => key.toLowerCase()));
  vmx.deleteWhere((key) => !isKnownKey(key) && !wanted.has(key));
  for (const [key, value] of machine.extra) vmx.set(key, value);
}
