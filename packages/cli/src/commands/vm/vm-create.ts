import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { parseByteSize } from '../../disk/byte-size.ts';
import { CliError } from '../../errors.ts';
import { chooseDatastore } from '../../inventory/choose-datastore.ts';
import { deviceChange } from '../../inventory/devices.ts';
import { filePlace, listPlace } from '../../inventory/file-place.ts';
import { encodeName } from '../../inventory/inventory.ts';
import { machinePlace } from '../../inventory/machine-place.ts';
import { runTask } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';
import { type PlaceOptions, placeOf, placeOptions } from '../inventory/place-options.ts';
import { adapters } from './device-add.ts';

interface CreateOptions extends PlaceOptions {
  readonly cpus: number;
  readonly memory: number;
  readonly guest: string;
  readonly firmware: 'bios' | 'efi';
  readonly disk: readonly string[];
  readonly provisioning: 'thin' | 'thick' | 'eager';
  readonly controller?: keyof typeof controllers;
  /** False for none at all. */
  readonly network: readonly string[] | false;
  readonly adapter: keyof typeof adapters;
  readonly iso?: string;
  readonly datastore?: string;
  readonly annotation?: string;
  readonly hardware?: string;
  readonly on?: boolean;
}

const controllers = {
  pvscsi: 'ParaVirtualSCSIController',
  lsilogic: 'VirtualLsiLogicController',
  'lsilogic-sas': 'VirtualLsiLogicSASController',
  sata: 'VirtualAHCIController',
  nvme: 'VirtualNVMEController',
} as const;

/** Unit numbers that SCSI disks have, which pass over the controller's own. */
const unitOf = (index: number) => (index < 7 ? index : index + 1);

/** Of the first IDE channel of machines, which all have. */
const ideKey = 200;

const count = (text: string): number => {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Say a whole number from 1.');
  return Number(text);
};
const collect = (value: string, before: readonly string[] | boolean | undefined): readonly string[] => [
  ...(Array.isArray(before) ? (before as readonly string[]) : []),
  value,
];

/** `hypo vm create`: a machine of new and given disks, to install a guest in. */
export function defineCreate(vm: Command, context: CommandContext): void {
  const create = vm
    .command('create')
    .description('make a machine, with disks, adapters and an installation medium')
    .argument('<name>', 'name of the machine')
    .option('--cpus <number>', 'processors', count, 1)
    .option('--memory <MiB>', 'memory', count, 1024)
    .option('--guest <id>', 'such as debian12_64Guest', 'otherLinux64Guest')
    .addOption(new Option('--firmware <kind>', 'what it boots by').choices(['bios', 'efi']).default('bios'))
    .option('--disk <size|path>', 'size of a new disk, or path of one that is there; may be repeated', collect, [])
    .addOption(
      new Option('--provisioning <kind>', 'of new disks: thin grows as it is written')
        .choices(['thin', 'thick', 'eager'])
        .default('thin'),
    )
    .addOption(
      new Option('--controller <kind>', 'of the disks; pvscsi unless told, sata with efi').choices(
        Object.keys(controllers),
      ),
    )
    .option('--network <name>', 'of an adapter; VM Network unless told; may be repeated', collect)
    .option('--no-network', 'without adapters')
    .addOption(new Option('--adapter <model>', 'of the adapters').choices(Object.keys(adapters)).default('vmxnet3'))
    .option('--iso <path>', 'in its CD-ROM drive, such as "[datastore1] iso/debian.iso"')
    .option('--datastore <name>', 'where its files go; the one of the host with most room unless told')
    .option('--annotation <text>', 'what it is for')
    .option('--hardware <version>', 'such as vmx-20; vmx-19 unless told')
    .option('--on', 'start it');
  placeOptions(create)
    .addHelpText(
      'after',
      `
Examples:
  hypo vm create web --cpus 2 --memory 2048 --guest debian12_64Guest --disk 20G
  hypo vm create web --disk 20G --iso '[datastore1] iso/debian.iso' --on
  hypo vm create db --disk '[datastore1] images/db.vmdk' --disk 100G --firmware efi --network "VM Network"`,
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<CreateOptions>(command);
      const devices = devicesOf(options);
      const made = await onServer(command, context, async (session) => {
        const place = await machinePlace(session, { ...placeOf(options), datastore: options.datastore });
        const datastore = await chooseDatastore(session, place, options.datastore);
        const [found] = await session.client.retrieve(datastore, ['name']);
        const { folder, pool, host, inventory, datacenter } = place;
        for (const network of networksOf(options)) inventory.find('Network', network, { within: datacenter });
        if (options.iso !== undefined) await mustBeThere(session, options.iso);
        const config = {
          _typeName: 'VirtualMachineConfigSpec',
          name: encodeName(name),
          numCPUs: options.cpus,
          memoryMB: BigInt(options.memory),
          guestId: options.guest,
          firmware: options.firmware,
          files: { _typeName: 'VirtualMachineFileInfo', vmPathName: `[${found?.values.name ?? ''}]` },
          ...(options.annotation === undefined ? {} : { annotation: options.annotation }),
          ...(options.hardware === undefined ? {} : { version: options.hardware }),
          deviceChange: devices,
        };
        const result = await runTask(session, context, name, () =>
          session.client.call(folder, 'CreateVM_Task', { config: config as never, pool, host }),
        );
        const machine = result as { readonly type: 'VirtualMachine'; readonly value: string };
        if (options.on) await runTask(session, context, name, () => session.client.call(machine, 'PowerOnVM_Task', {}));
        return { id: machine.value, name };
      });
      answer(context, command, made, `${name}: ${options.on ? 'made and started' : 'made'}`);
    });
}

function networksOf({ network }: Pick<CreateOptions, 'network'>): readonly string[] {
  return network === false ? [] : (network ?? ['VM Network']);
}

/** A machine whose medium is missing is told of before it is made. */
async function mustBeThere(session: ServerSession, path: string): Promise<void> {
  const place = await filePlace(session, path);
  const slash = place.path.lastIndexOf('/');
  const name = place.path.slice(slash + 1);
  const folder = { ...place, name: place.name.slice(0, place.name.length - name.length) };
  const [found] = await listPlace(session, folder);
  if (!found?.file?.some((file) => file.path === name))
    throw new CliError('not-found', `${path} is not there.`, {
      next: `See: hypo datastore ls '${folder.name.trim()}'`,
    });
}

/** Disks on one controller, adapters, and a drive. Throws `usage`. */
function devicesOf(options: CreateOptions): object[] {
  const { disk, network, adapter, iso, firmware } = options;
  const kind = options.controller ?? (firmware === 'efi' ? 'sata' : 'pvscsi');
  if (disk.length > 14) throw new CliError('usage', 'A machine is made with 14 disks at most; add more afterwards.');
  const controllerKey = -10;
  const isScsi = kind !== 'sata' && kind !== 'nvme';
  const controller = {
    _typeName: controllers[kind],
    key: controllerKey,
    busNumber: 0,
    ...(isScsi ? { sharedBus: 'noSharing' } : {}),
  };
  const networks = networksOf({ network });
  return [
    ...(disk.length === 0 ? [] : [deviceChange('add', controller)]),
    ...disk.map((text, index) => diskChange(text, { ...options, index, controllerKey })),
    ...networks.map((deviceName, index) =>
      deviceChange('add', {
        _typeName: adapters[adapter],
        key: -100 - index,
        backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName },
        connectable: connected,
      }),
    ),
    ...(iso === undefined
      ? []
      : [
          deviceChange('add', {
            _typeName: 'VirtualCdrom',
            key: -200,
            controllerKey: ideKey,
            unitNumber: 0,
            backing: { _typeName: 'VirtualCdromIsoBackingInfo', fileName: iso },
            connectable: connected,
          }),
        ]),
  ];
}

const connected = {
  _typeName: 'VirtualDeviceConnectInfo',
  startConnected: true,
  allowGuestControl: true,
  connected: true,
};

function diskChange(
  text: string,
  { index, controllerKey, provisioning }: CreateOptions & { readonly index: number; readonly controllerKey: number },
): object {
  const disk = { _typeName: 'VirtualDisk', key: -20 - index, controllerKey, unitNumber: unitOf(index) };
  const backing = { _typeName: 'VirtualDiskFlatVer2BackingInfo', diskMode: 'persistent' };
  if (text.startsWith('['))
    return deviceChange('add', { ...disk, capacityInKB: 0, backing: { ...backing, fileName: text } });
  const capacityInBytes = parseByteSize(text);
  return deviceChange(
    'add',
    {
      ...disk,
      capacityInKB: Math.ceil(capacityInBytes / 1024),
      capacityInBytes,
      backing: {
        ...backing,
        fileName: '',
        thinProvisioned: provisioning === 'thin',
        eagerlyScrub: provisioning === 'eager',
      },
    },
    'create',
  );
}
