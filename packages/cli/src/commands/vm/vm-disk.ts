import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { parseByteSize } from '../../disk/byte-size.ts';
import { CliError } from '../../errors.ts';
import {
  controllerFor,
  deviceBacking,
  deviceChange,
  deviceName,
  diskControllers,
  findDevice,
  readDevices,
  reconfigure,
} from '../../inventory/devices.ts';
import { answer } from '../../output/answer.ts';

interface DiskOptions {
  readonly size?: string;
  readonly name?: string;
  readonly provisioning: 'thin' | 'thick' | 'eager';
  readonly mode: string;
  readonly controller?: string;
  readonly link?: boolean;
  readonly sharing?: string;
}

const sharings = ['sharingNone', 'sharingMultiWriter'];
const modes = ['persistent', 'independent_persistent', 'independent_nonpersistent'];

/** `hypo vm disk create`, `attach`, `change` and `detach`: disks of machines, running or not. */
export function defineVmDisk(vm: Command, context: CommandContext): void {
  const disk = vm
    .command('disk')
    .description('disks of machines: make, attach, grow and detach them')
    .addHelpText(
      'after',
      `
Examples:
  hypo vm disk create web --size 10G
  hypo vm disk attach web "[datastore1] data/data.vmdk" --link
  hypo vm disk change web disk-1000-1 --size 20G
  hypo vm disk create web --size 10G --provisioning eager --sharing sharingMultiWriter
  hypo vm disk detach web disk-1000-1`,
    );
  placed(disk.command('create').description('make a disk for a machine'))
    .requiredOption('--size <size>', 'such as 10G')
    .option('--name <file>', 'name of its file in the folder of the machine')
    .addOption(
      new Option('--provisioning <kind>', 'thin grows as it is written')
        .choices(['thin', 'thick', 'eager'])
        .default('thin'),
    )
    .addHelpText('after', '\nExample:\n  hypo vm disk create web --size 10G --provisioning eager')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const { size = '', name, provisioning, mode, controller, sharing } = optionsOf<DiskOptions>(command);
      const capacityInBytes = parseByteSize(size);
      await addDisk(context, command, machine, controller, {
        capacityInKB: Math.ceil(capacityInBytes / 1024),
        capacityInBytes,
        backing: {
          ...flatBacking,
          fileName: name === undefined ? '' : `${name.replace(/\.vmdk$/i, '')}.vmdk`,
          diskMode: mode,
          thinProvisioned: provisioning === 'thin',
          eagerlyScrub: provisioning === 'eager',
          ...(sharing === undefined ? {} : { sharing }),
        },
      });
    });
  placed(disk.command('attach').description('give a machine a disk that is there'), '<disk>')
    .option('--link', 'leave it as it is, and write what changes beside the machine')
    .addHelpText('after', '\nExample:\n  hypo vm disk attach web "[datastore1] data/data.vmdk" --link')
    .action(async (machine: string, file: string, _options: unknown, command: Command) => {
      const { mode, controller, link = false, sharing } = optionsOf<DiskOptions>(command);
      const shared = sharing === undefined ? {} : { sharing };
      const backing = link
        ? {
            ...flatBacking,
            ...shared,
            fileName: '',
            diskMode: mode,
            parent: { ...flatBacking, fileName: file, diskMode: mode },
          }
        : { ...flatBacking, ...shared, fileName: file, diskMode: mode };
      await addDisk(context, command, machine, controller, { capacityInKB: 0, backing }, link ? 'create' : 'none');
    });
  disk
    .command('change')
    .description('grow a disk, limit its use, or change its mode and who writes it while the machine is off')
    .argument('<machine>', 'name, path or id of the machine')
    .argument('<disk>', 'such as disk-1000-0, or its label')
    .option('--size <size>', 'such as 20G, or +10G')
    .addOption(new Option('--mode <mode>', 'what becomes of what is written').choices(modes))
    .addOption(new Option('--sharing <kind>', 'whether other machines may write it too').choices(sharings))
    .option('--iops <number>', 'most reads and writes a second, from 16; -1 is no limit', operations)
    .option('--shares <shares>', 'low, normal, high or a number from 200 to 4000')
    .addHelpText(
      'after',
      `
Examples:
  hypo vm disk change web disk-1000-0 --size +10G
  hypo vm disk change web disk-1000-0 --iops 500 --shares low`,
    )
    .action(async (machine: string, wanted: string, _options: unknown, command: Command) => {
      const { size, mode, iops, shares, sharing } = optionsOf<DiskChangeOptions>(command);
      const use = diskUse(iops, shares);
      if (size === undefined && mode === undefined && use === undefined && sharing === undefined)
        throw new CliError('usage', 'Say --size, --mode, --sharing, --iops or --shares.');
      await onServer(command, context, async (session) => {
        const found = await readDevices(session, machine);
        const one = findDevice(found, wanted) as ReturnType<typeof findDevice> & {
          readonly capacityInBytes?: number | bigint;
          readonly capacityInKB?: number | bigint;
        };
        const now = Number(one.capacityInBytes ?? 0);
        const bytes =
          size === undefined ? now : size.startsWith('+') ? now + parseByteSize(size.slice(1)) : parseByteSize(size);
        const backing = {
          ...one.backing,
          ...(mode === undefined ? {} : { diskMode: mode }),
          ...(sharing === undefined ? {} : { sharing }),
        };
        const edited = {
          ...one,
          backing,
          capacityInBytes: bytes,
          capacityInKB: Math.floor(bytes / 1024),
          ...(use === undefined ? {} : { storageIOAllocation: use }),
        };
        await reconfigure(session, context, found, { deviceChange: [deviceChange('edit', edited)] });
      });
      answer(
        context,
        command,
        { machine, disk: wanted, size, mode, sharing, iops, shares },
        `${machine}: ${wanted} changed`,
      );
    });
  disk
    .command('detach')
    .description('take disks from a machine; their files stay')
    .argument('<machine>', 'name, path or id of the machine')
    .argument('<disk...>', 'such as disk-1000-0, or its label')
    .addHelpText('after', '\nExample:\n  hypo vm disk detach web disk-1000-1')
    .action(async (machine: string, names: string[], _options: unknown, command: Command) => {
      const files = await onServer(command, context, async (session) => {
        const found = await readDevices(session, machine);
        const disks = names.map((name) => findDevice(found, name));
        await reconfigure(session, context, found, { deviceChange: disks.map((one) => deviceChange('remove', one)) });
        return disks.map(deviceBacking);
      });
      answer(
        context,
        command,
        { machine, detached: files },
        files.map((file) => `${machine}: without ${file}`).join('\n'),
      );
    });
}

interface DiskChangeOptions {
  readonly size?: string;
  readonly mode?: string;
  readonly sharing?: string;
  readonly iops?: number;
  readonly shares?: string;
}

function operations(text: string): number {
  if (!/^(-1|\d{2,9})$/.test(text)) throw new InvalidArgumentError('Say a whole number from 16, or -1.');
  return Number(text);
}

/** What a disk may use of what disks can do; undefined where nothing is said. */
export function diskUse(limit: number | undefined, shares: string | undefined): object | undefined {
  if (limit === undefined && shares === undefined) return undefined;
  if (shares !== undefined && !/^(low|normal|high|\d{1,9})$/.test(shares))
    throw new CliError('usage', `'${shares}' is none of low, normal, high and a number.`);
  const level = shares !== undefined && /^\d/.test(shares) ? 'custom' : shares;
  return {
    _typeName: 'StorageIOAllocationInfo',
    ...(limit === undefined ? {} : { limit }),
    ...(level === undefined ? {} : { shares: { level, shares: level === 'custom' ? Number(shares) : 0 } }),
  };
}

const flatBacking = { _typeName: 'VirtualDiskFlatVer2BackingInfo' };

function placed(command: Command, file?: string): Command {
  command.argument('<machine>', 'name, path or id of the machine');
  if (file !== undefined) command.argument(file, 'path such as "[datastore1] data/data.vmdk"');
  return command
    .option('--controller <name>', 'such as pvscsi-1000; the first with room unless told')
    .addOption(new Option('--mode <mode>', 'what becomes of what is written').choices(modes).default('persistent'))
    .addOption(new Option('--sharing <kind>', 'whether other machines may write it too').choices(sharings));
}

async function addDisk(
  context: CommandContext,
  command: Command,
  machine: string,
  controller: string | undefined,
  disk: object,
  fileOperation: 'create' | 'none' = 'create',
): Promise<void> {
  const added = await onServer(command, context, async (session) => {
    const before = await readDevices(session, machine);
    const controllerKey = controllerFor(before, controller, diskControllers).key;
    const device = { _typeName: 'VirtualDisk', key: -1, controllerKey, ...disk };
    await reconfigure(session, context, before, {
      deviceChange: [deviceChange('add', device, fileOperation === 'none' ? undefined : fileOperation)],
    });
    const after = await readDevices(session, machine);
    return after.devices.filter(({ key }) => !before.devices.some((one) => one.key === key));
  });
  const value = added.map((one) => ({ name: deviceName(one), file: deviceBacking(one) }));
  answer(
    context,
    command,
    { machine, added: value },
    value.map(({ name, file }) => `${machine}: ${name} ${file}`).join('\n'),
  );
}
