import type { CustomizationSpecItem, ManagedObjectReference, VirtualMachineConfigInfo } from '@hypostyle/vim';
import { type Command, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { customizationSpecs } from '../../inventory/customization-specs.ts';
import { datastoreNamed } from '../../inventory/datastore-named.ts';
import { datastoreOnHost } from '../../inventory/datastore-on-host.ts';
import { diskLocators } from '../../inventory/disk-places.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { machinePlace } from '../../inventory/machine-place.ts';
import { runTask } from '../../inventory/run-task.ts';
import { findSnapshot, readSnapshots } from '../../inventory/snapshots.ts';
import { answer } from '../../output/answer.ts';
import { repeat } from '../../ovf/signing-options.ts';
import { type PlaceOptions, placeOf, placeOptions } from '../inventory/place-options.ts';

interface CloneOptions extends PlaceOptions {
  readonly snapshot?: string;
  readonly link?: boolean;
  readonly on?: boolean;
  readonly template?: boolean;
  readonly datastore?: string;
  readonly disks?: 'thin' | 'thick' | 'eager';
  readonly disk: readonly string[];
  readonly cpus?: string;
  readonly memory?: string;
  readonly annotation?: string;
  readonly customization?: string;
}

/** `hypo vm clone`: a copy of a machine, or one that stands on its snapshot. */
export function defineClone(vm: Command, context: CommandContext): void {
  const clone = vm
    .command('clone')
    .description('make a machine from another one, a template, or a snapshot')
    .argument('<machine>', 'name, path or id of the original')
    .argument('<name>', 'name of the clone')
    .option('--snapshot <name>', 'as the machine was: name, path or id of a snapshot')
    .option('--link', 'share the disks of the snapshot: made in a moment, of a few hundred kilobytes')
    .option('--on', 'start it')
    .option('--template', 'make a template')
    .option('--datastore <name>', 'where its files go; beside those of the original unless told')
    .addOption(
      new Option('--disks <kind>', 'room of its disks; as the original has it unless told').choices([
        'thin',
        'thick',
        'eager',
      ]),
    )
    .option(
      '--disk <disk=datastore>',
      "where one disk goes, with ',thin', ',thick' or ',eager' for its room; may be repeated",
      repeat,
      [],
    )
    .option('--cpus <number>', 'its number of processors')
    .option('--memory <MiB>', 'its memory')
    .option('--annotation <text>', 'what it is for')
    .option('--customization <name>', 'specification by which its guest is told who it is');
  placeOptions(clone)
    .addHelpText(
      'after',
      `
Examples:
  hypo vm clone web web2 --on
  hypo vm clone web desk1 --snapshot base --link
  hypo vm clone golden db --pool production --disks eager --memory 4096
  hypo vm clone web web3 --host esx2 --datastore fast
  hypo vm clone db db2 --disk 'Hard disk 2=archive,thin'`,
    )
    .action(async (machine: string, name: string, _options: unknown, command: Command) => {
      const options = optionsOf<CloneOptions>(command);
      if (options.link && options.snapshot === undefined) {
        throw new CliError('usage', '--link needs --snapshot: a linked clone stands on a snapshot.', {
          next: `Take one with: hypo snapshot create ${machine} base`,
        });
      }
      const made = await onServer(command, context, async (session) => {
        const { ref } = await findMachine(session, machine);
        const { folder, location } = await placeOfClone(session, ref, machine, options);
        const snapshot =
          options.snapshot === undefined
            ? undefined
            : findSnapshot(await readSnapshots(session, ref), options.snapshot).tree.snapshot;
        const result = await runTask(session, context, name, async () =>
          session.client.call(ref, 'CloneVM_Task', {
            folder,
            name,
            spec: {
              location,
              template: options.template ?? false,
              powerOn: options.on ?? false,
              ...(snapshot === undefined ? {} : { snapshot }),
              ...configOf(options),
              ...(options.customization === undefined
                ? {}
                : { customization: await specNamed(session, options.customization) }),
            } as never,
          }),
        );
        return { name, id: (result as { readonly value?: string } | undefined)?.value ?? '' };
      });
      answer(context, command, made, `${name}: cloned from ${machine}`);
    });
}

async function specNamed(session: ServerSession, name: string) {
  const specs = await customizationSpecs(session);
  return ((await session.client.call(specs, 'GetCustomizationSpec', { name })) as CustomizationSpecItem).spec;
}

/** In the folder of the original, and in its pool, unless told; a template has none. */
async function placeOfClone(
  session: ServerSession,
  ref: ManagedObjectReference<'VirtualMachine'>,
  machine: string,
  options: CloneOptions,
) {
  const [found] = await session.client.retrieve(ref, ['parent', 'config']);
  const parent = found?.values.parent as ManagedObjectReference<'Folder'> | undefined;
  const template = (found?.values.config as VirtualMachineConfigInfo | undefined)?.template === true;
  const named = Object.values(placeOf(options)).some((value) => value !== undefined);
  const asked =
    named || template || parent?.type !== 'Folder' ? await machinePlace(session, placeOf(options)) : undefined;
  const needsPool = options.pool !== undefined || (template && !options.template);
  const datastore =
    options.datastore !== undefined
      ? await datastoreNamed(session, options.datastore)
      : options.host === undefined || asked === undefined
        ? undefined
        : await datastoreOnHost(session, ref, asked.host);
  const kinds = { thin: 'sparse', thick: 'flat', eager: 'flat' } as const;
  return {
    folder: options.folder === undefined && parent?.type === 'Folder' ? parent : (asked?.folder ?? parent),
    location: {
      ...(options.link ? { diskMoveType: 'createNewChildDiskBacking' } : {}),
      ...(needsPool && asked !== undefined ? { pool: asked.pool } : {}),
      ...(options.host === undefined || asked === undefined ? {} : { host: asked.host }),
      ...(datastore === undefined ? {} : { datastore }),
      ...(options.disks === undefined ? {} : { transform: kinds[options.disks] }),
      ...(await locatorsOf(session, ref, machine, options)),
    },
  } as never as {
    readonly folder: ManagedObjectReference<'Folder'>;
    readonly location: Readonly<Record<string, unknown>>;
  };
}

/** What is said of single disks; the last word on one is what it names itself. */
async function locatorsOf(
  session: ServerSession,
  ref: ManagedObjectReference<'VirtualMachine'>,
  machine: string,
  options: Pick<CloneOptions, 'datastore' | 'disks' | 'disk'>,
) {
  const every = options.disks === 'eager' ? (await eagerDisks(session, ref, options)).disk : [];
  const named = options.disk.length === 0 ? [] : await diskLocators(session, machine, options.disk);
  const disk = [...every.filter(({ diskId }) => named.every((one) => one.diskId !== diskId)), ...named];
  return disk.length === 0 ? {} : { disk };
}

/** Room that is filled with zeros is said disk by disk. */
async function eagerDisks(
  session: ServerSession,
  ref: ManagedObjectReference<'VirtualMachine'>,
  options: Pick<CloneOptions, 'datastore'>,
) {
  const [found] = await session.client.retrieve(ref, ['config', 'datastore']);
  const config = found?.values.config as VirtualMachineConfigInfo | undefined;
  const [own] = (found?.values.datastore ?? []) as readonly ManagedObjectReference<'Datastore'>[];
  const datastore = options.datastore === undefined ? own : await datastoreNamed(session, options.datastore);
  const disks = (config?.hardware.device ?? []).filter(({ _typeName }) => _typeName === 'VirtualDisk');
  return {
    disk: disks.map(({ key }) => ({
      diskId: key,
      datastore,
      diskBackingInfo: {
        _typeName: 'VirtualDiskFlatVer2BackingInfo',
        fileName: '',
        diskMode: 'persistent',
        eagerlyScrub: true,
      },
    })),
  };
}

function configOf({ cpus, memory, annotation }: CloneOptions) {
  const config = {
    ...(cpus === undefined ? {} : { numCPUs: numberOf('--cpus', cpus) }),
    ...(memory === undefined ? {} : { memoryMB: BigInt(numberOf('--memory', memory)) }),
    ...(annotation === undefined ? {} : { annotation }),
  };
  return Object.keys(config).length === 0 ? {} : { config };
}

function numberOf(option: string, text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new CliError('usage', `${option} ${text} is no number.`);
  return Number(text);
}
