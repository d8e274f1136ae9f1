import { type Command, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import {
  controllerFor,
  deviceChange,
  deviceName,
  type MachineDevices,
  readDevices,
  reconfigure,
} from '../../inventory/devices.ts';
import { answer } from '../../output/answer.ts';

interface AddOptions {
  readonly network?: string;
  readonly adapter: keyof typeof adapters;
  readonly mac?: string;
  readonly image?: string;
  readonly file?: string;
  readonly type?: string;
  readonly controller?: string;
  readonly sharing?: string;
}

/** Types of network adapters by the names that people give them. */
export const adapters = {
  vmxnet3: 'VirtualVmxnet3',
  e1000: 'VirtualE1000',
  e1000e: 'VirtualE1000e',
  pcnet32: 'VirtualPCNet32',
  virtio: 'VirtualEthernetCard',
} as const;

const scsiTypes: Readonly<Record<string, string>> = {
  pvscsi: 'ParaVirtualSCSIController',
  lsilogic: 'VirtualLsiLogicController',
  'lsilogic-sas': 'VirtualLsiLogicSASController',
  buslogic: 'VirtualBusLogicController',
};
const soundTypes: Readonly<Record<string, string>> = {
  hdaudio: 'VirtualHdAudioCard',
  es1371: 'VirtualEnsoniq1371',
  sb16: 'VirtualSoundBlaster16',
};

/** Each kind of device that is added with a few words; disks are the matter of `hypo vm disk`. */
const kinds: Readonly<Record<string, (options: AddOptions, machine: MachineDevices) => object>> = {
  ethernet: ({ network = 'VM Network', adapter, mac }) => ({
    _typeName: adapters[adapter],
    backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: network },
    ...(mac === undefined ? {} : { addressType: 'manual', macAddress: mac }),
    connectable: connected,
  }),
  cdrom: ({ image, controller }, machine) => ({
    _typeName: 'VirtualCdrom',
    controllerKey: controllerFor(machine, controller, ['VirtualIDEController', 'VirtualAHCIController']).key,
    backing:
      image === undefined
        ? { _typeName: 'VirtualCdromRemotePassthroughBackingInfo', deviceName: '', exclusive: false }
        : { _typeName: 'VirtualCdromIsoBackingInfo', fileName: image },
    connectable: { ...connected, startConnected: image !== undefined },
  }),
  floppy: ({ image }) => ({
    _typeName: 'VirtualFloppy',
    backing:
      image === undefined
        ? { _typeName: 'VirtualFloppyRemoteDeviceBackingInfo', deviceName: '' }
        : { _typeName: 'VirtualFloppyImageBackingInfo', fileName: image },
    connectable: { ...connected, startConnected: image !== undefined },
  }),
  scsi: ({ type = 'pvscsi', sharing = 'noSharing' }) => ({
    _typeName: oneOf(scsiTypes, type, 'SCSI controller'),
    busNumber: 0,
    sharedBus: sharing,
  }),
  sata: () => ({ _typeName: 'VirtualAHCIController', busNumber: 0 }),
  nvme: () => ({ _typeName: 'VirtualNVMEController', busNumber: 0 }),
  usb: () => ({ _typeName: 'VirtualUSBController', busNumber: 0, ehciEnabled: true }),
  xhci: () => ({ _typeName: 'VirtualUSBXHCIController', busNumber: 0 }),
  sound: ({ type = 'hdaudio' }) => ({
    _typeName: oneOf(soundTypes, type, 'sound card'),
    backing: { _typeName: 'VirtualSoundCardDeviceBackingInfo', deviceName: '', useAutoDetect: true },
  }),
  tpm: () => ({ _typeName: 'VirtualTPM' }),
  serial: ({ file = '' }) => ({
    _typeName: 'VirtualSerialPort',
    yieldOnPoll: true,
    backing: { _typeName: 'VirtualSerialPortFileBackingInfo', fileName: file },
  }),
};

const connected = {
  _typeName: 'VirtualDeviceConnectInfo',
  startConnected: true,
  allowGuestControl: true,
  connected: true,
};

function oneOf(types: Readonly<Record<string, string>>, wanted: string, what: string): string {
  const found = types[wanted];
  if (found === undefined)
    throw new CliError('usage', `There is no ${what} '${wanted}': use ${Object.keys(types).join(', ')}.`);
  return found;
}

/** `hypo device add`. */
export function defineDeviceAdd(device: Command, context: CommandContext): void {
  device
    .command('add')
    .description('add a device to a machine; disks are added by hypo vm disk')
    .argument('<machine>', 'name, path or id of the machine')
    .argument('<kind>', Object.keys(kinds).join(', '))
    .option('--network <name>', 'of an ethernet adapter; VM Network unless told')
    .addOption(
      new Option('--adapter <model>', 'of an ethernet adapter').choices(Object.keys(adapters)).default('vmxnet3'),
    )
    .option('--mac <address>', 'of an ethernet adapter; generated unless told')
    .option('--image <path>', 'of a cdrom or floppy, such as "[datastore1] iso/debian.iso"')
    .option('--file <path>', 'what a serial port writes to')
    .option('--type <model>', 'pvscsi, lsilogic, lsilogic-sas, buslogic; hdaudio, es1371, sb16')
    .option('--controller <name>', 'of a cdrom, such as ide-200')
    .addOption(
      new Option('--sharing <kind>', 'of a scsi controller: which machines may write its disks too').choices([
        'noSharing',
        'virtualSharing',
        'physicalSharing',
      ]),
    )
    .addHelpText(
      'after',
      `
Examples:
  hypo device add web ethernet --network "VM Network" --adapter e1000e
  hypo device add web cdrom --image "[datastore1] iso/debian.iso"
  hypo device add web tpm
  hypo device add web scsi --type pvscsi --sharing virtualSharing`,
    )
    .action(async (machine: string, kind: string, _options: unknown, command: Command) => {
      const make = kinds[kind];
      if (make === undefined)
        throw new CliError('usage', `There is no kind '${kind}': use ${Object.keys(kinds).join(', ')}.`, {
          ...(kind === 'disk' ? { next: `Use: hypo vm disk create ${machine} --size 10G` } : {}),
        });
      const options = optionsOf<AddOptions>(command);
      const added = await onServer(command, context, async (session) => {
        const before = await readDevices(session, machine);
        const made = { key: -1, ...make(options, before) };
        await reconfigure(session, context, before, { deviceChange: [deviceChange('add', made)] });
        const after = await readDevices(session, machine);
        return after.devices.filter(({ key }) => !before.devices.some((one) => one.key === key)).map(deviceName);
      });
      answer(context, command, { machine, added }, `${machine}: ${added.join(', ')} added`);
    });
}
