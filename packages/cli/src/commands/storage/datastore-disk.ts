import { data } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { exactBytes, parseByteSize } from '../../disk/byte-size.ts';
import { CliError } from '../../errors.ts';
import { diskAt, filePlace } from '../../inventory/file-place.ts';
import { runTask } from '../../inventory/run-task.ts';
import { formatTable } from '../../output/table.ts';
import { print, printJson } from '../../output/terminal.ts';

interface DiskOptions {
  readonly size?: string;
  readonly type?: string;
  readonly adapter?: string;
  readonly eagerZero?: boolean;
  readonly json?: boolean;
}

const simple = {
  inflate: ['InflateVirtualDisk_Task', 'take all room of a thin disk, and fill it with zeros', 'inflated'],
  shrink: ['ShrinkVirtualDisk_Task', 'give back the room of zeros', 'shrunk'],
  defragment: ['DefragmentVirtualDisk_Task', 'put the grains of a sparse disk in order', 'defragmented'],
} as const;

/** Adds `hypo datastore disk` to `hypo datastore`: virtual disks by themselves. */
export function defineDatastoreDisk(datastore: Command, context: CommandContext): void {
  const disk = datastore
    .command('disk')
    .description('virtual disks on datastores, whether or not a machine has them')
    .addHelpText('after', "\nExample:\n  hypo datastore disk create '[datastore1] data/data.vmdk' --size 10G");
  disk
    .command('create')
    .description('make an empty disk')
    .argument('<path>')
    .requiredOption('--size <size>', 'capacity, such as 10G')
    .option('--type <type>', 'thin, preallocated, eagerZeroedThick, sparseMonolithic …', 'thin')
    .option('--adapter <type>', 'lsiLogic, busLogic or ide', 'lsiLogic')
    .addHelpText('after', "\nExample:\n  hypo datastore disk create '[datastore1] data/data.vmdk' --size 10G")
    .action(async (path: string, _options: unknown, command: Command) => {
      const { size = '', type = 'thin', adapter = 'lsiLogic', json } = optionsOf<DiskOptions>(command);
      const spec = data('FileBackedVirtualDiskSpec', {
        diskType: type,
        adapterType: adapter,
        capacityKb: kibibytes(size),
      });
      await onServer(command, context, async (session) => {
        const { name } = await filePlace(session, path);
        await runTask(session, context, path, () =>
          session.client.call(managerOf(session), 'CreateVirtualDisk_Task', { name, spec }),
        );
      });
      tell(context, json, path, 'made');
    });
  disk
    .command('extend')
    .description('give a disk more capacity')
    .argument('<path>')
    .requiredOption('--size <size>', 'new capacity, such as 20G')
    .option('--eager-zero', 'fill what is added with zeros')
    .addHelpText('after', "\nExample:\n  hypo datastore disk extend '[datastore1] data/data.vmdk' --size 20G")
    .action(async (path: string, _options: unknown, command: Command) => {
      const { size = '', eagerZero = false, json } = optionsOf<DiskOptions>(command);
      const newCapacityKb = kibibytes(size);
      await onServer(command, context, async (session) => {
        const { name } = await filePlace(session, path);
        await runTask(session, context, path, () =>
          session.client.call(managerOf(session), 'ExtendVirtualDisk_Task', { name, newCapacityKb, eagerZero }),
        );
      });
      tell(context, json, path, 'extended');
    });
  for (const [verb, [method, description, done]] of Object.entries(simple))
    disk
      .command(verb)
      .description(description)
      .argument('<path>')
      .addHelpText('after', `\nExample:\n  hypo datastore disk ${verb} '[datastore1] data/data.vmdk'`)
      .action(async (path: string, _options: unknown, command: Command) => {
        await onServer(command, context, async (session) => {
          const { name } = await filePlace(session, path);
          await runTask(session, context, path, () => session.client.call(managerOf(session), method, { name }));
        });
        tell(context, optionsOf<DiskOptions>(command).json, path, done);
      });
  disk
    .command('info')
    .description('tell what a disk is')
    .argument('<path>')
    .addHelpText('after', "\nExample:\n  hypo datastore disk info '[datastore1] web/web.vmdk' --json")
    .action(async (path: string, _options: unknown, command: Command) => {
      const info = await onServer(command, context, (session) => infoOf(session, path));
      if (optionsOf<DiskOptions>(command).json) printJson(context.terminal, info);
      else
        print(
          context.terminal,
          formatTable(
            ['WHAT', 'VALUE'],
            [
              ['path', info.path],
              ['capacity', exactBytes(info.capacity)],
              ['thin', info.thin ? 'yes' : 'no'],
              ['backing', info.backing],
              ['controller', info.controller],
              ['uuid', info.uuid],
              ['geometry', info.geometry],
              ['fragmentation', `${info.fragmentation} %`],
              ...info.extents.map((extent) => ['extent', extent]),
            ],
          ),
        );
    });
}

async function infoOf(session: ServerSession, path: string) {
  const place = await filePlace(session, path);
  const disk = await diskAt(session, place);
  if (disk === undefined) throw new CliError('not-found', `${path} is no virtual disk.`);
  const { client } = session;
  const manager = managerOf(session);
  const { name } = place;
  const uuid = await client.call(manager, 'QueryVirtualDiskUuid', { name });
  const { cylinder, head, sector } = await client.call(manager, 'QueryVirtualDiskGeometry', { name });
  const fragmentation = await client.call(manager, 'QueryVirtualDiskFragmentation', { name });
  return {
    path: name,
    capacity: Number(disk.capacityKb ?? 0) * 1024,
    thin: disk.thin ?? false,
    backing: disk.diskType ?? '-',
    controller: disk.controllerType ?? '-',
    uuid,
    geometry: `${cylinder}/${head}/${sector}`,
    fragmentation,
    extents: disk.diskExtents ?? [],
  };
}

function managerOf({ content }: ServerSession) {
  if (content.virtualDiskManager === undefined) throw new CliError('failed', 'The server manages no virtual disks.');
  return content.virtualDiskManager;
}

function kibibytes(size: string): bigint {
  return BigInt(Math.ceil(parseByteSize(size) / 1024));
}

function tell(context: CommandContext, json: boolean | undefined, path: string, done: string): void {
  if (json) printJson(context.terminal, { path });
  else print(context.terminal, `${path}: ${done}`);
}
