import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { readDevices, reconfigure } from '../../inventory/devices.ts';
import { answer } from '../../output/answer.ts';

interface ChangeOptions {
  readonly cpus?: number;
  readonly cores?: number;
  readonly memory?: number;
  readonly name?: string;
  readonly annotation?: string;
  readonly guest?: string;
  readonly firmware?: string;
  readonly hardware?: string;
  readonly uuid?: string;
  readonly extra?: readonly string[];
  readonly cpuHotAdd?: boolean;
  readonly cpuHotRemove?: boolean;
  readonly memoryHotAdd?: boolean;
  readonly diskUuid?: boolean;
  readonly changeTracking?: boolean;
  readonly syncTime?: boolean;
  readonly lockMemory?: boolean;
  readonly latency?: string;
  readonly cpuLimit?: number;
  readonly cpuReservation?: number;
  readonly cpuShares?: string;
  readonly memoryLimit?: number;
  readonly memoryReservation?: number;
  readonly memoryShares?: string;
  readonly bootDelay?: number;
  readonly bootRetry?: number;
  readonly boot?: string;
  readonly setup?: boolean;
  readonly secureBoot?: boolean;
}

const yesNo = (text: string): boolean => {
  if (/^(yes|true|on)$/i.test(text)) return true;
  if (/^(no|false|off)$/i.test(text)) return false;
  throw new InvalidArgumentError('Say yes or no.');
};

const whole = (text: string): number => {
  const number = Number(text);
  if (!Number.isSafeInteger(number)) throw new InvalidArgumentError('Say a whole number.');
  return number;
};

/** `hypo vm change`: what a machine is, whether it runs or not as far as that is possible. */
export function defineChange(vm: Command, context: CommandContext): void {
  const change = vm
    .command('change')
    .description('change processors, memory, names, boot and grants of a machine')
    .argument('<machine>', 'name, path or id of the machine')
    .option('--cpus <number>', 'processors', whole)
    .option('--cores <number>', 'of them to a socket', whole)
    .option('--memory <MiB>', 'memory', whole)
    .option('--name <name>', 'another name')
    .option('--annotation <text>', 'what it is for')
    .option('--guest <id>', 'such as debian12_64Guest')
    .addOption(new Option('--firmware <kind>', 'what it boots by').choices(['bios', 'efi']))
    .option('--hardware <version>', 'such as vmx-20')
    .option('--uuid <uuid>', 'of its BIOS')
    .option('-e, --extra <key=value...>', 'extra configuration; an empty value takes the key away')
    .option('--cpu-hot-add <yes|no>', 'processors come while it runs', yesNo)
    .option('--cpu-hot-remove <yes|no>', 'processors go while it runs', yesNo)
    .option('--memory-hot-add <yes|no>', 'memory comes while it runs', yesNo)
    .option('--disk-uuid <yes|no>', 'the guest sees the UUIDs of its disks', yesNo)
    .option('--change-tracking <yes|no>', 'what changes on its disks is known, from its next start or snapshot', yesNo)
    .option('--sync-time <yes|no>', 'keep the guest at the time of the host', yesNo)
    .option('--lock-memory <yes|no>', 'all of its memory is reserved', yesNo)
    .addOption(new Option('--latency <level>', 'how much delays matter').choices(['low', 'normal', 'medium', 'high']))
    .option('--cpu-limit <MHz>', 'most of processors; -1 is no limit', whole)
    .option('--cpu-reservation <MHz>', 'what it has of processors for certain', whole)
    .option('--cpu-shares <shares>', 'low, normal, high or a number')
    .option('--memory-limit <MiB>', 'most of memory; -1 is no limit', whole)
    .option('--memory-reservation <MiB>', 'what it has of memory for certain', whole)
    .option('--memory-shares <shares>', 'low, normal, high or a number')
    .option('--boot <order>', 'what is tried in which order: disk,cdrom,ethernet,floppy, or disk-1000-1,ethernet-0')
    .option('--boot-delay <milliseconds>', 'before it boots', whole)
    .option('--boot-retry <milliseconds>', 'try again when there is nothing to boot; 0: do not', whole)
    .option('--setup <yes|no>', 'enter the setup of the firmware at its next start', yesNo)
    .option('--secure-boot <yes|no>', 'of EFI; kept, and not enforced here', yesNo);
  change
    .addHelpText(
      'after',
      `
Examples:
  hypo vm change web --cpus 4 --memory 8192
  hypo vm change web --cpu-hot-add yes --memory-hot-add yes
  hypo vm change web --change-tracking yes
  hypo vm change web -e guestinfo.role=front -e guestinfo.old=
  hypo vm change web --boot ethernet-0,disk --boot-delay 5000`,
    )
    .action(async (machine: string, _options: unknown, command: Command) => {
      const options = optionsOf<ChangeOptions>(command);
      const name = await onServer(command, context, async (session) => {
        const found = await readDevices(session, machine);
        const spec = specOf(options, (text) => bootDevice(text, found.devices));
        if (Object.keys(spec).length === 0) throw new CliError('usage', 'Say what is to be changed: see --help.');
        await reconfigure(session, context, found, { _typeName: 'VirtualMachineConfigSpec', ...spec });
        return options.name ?? found.name;
      });
      answer(context, command, { name, changed: true }, `${name}: changed`);
    });
}

/** What the options say, as a spec; empty for none. */
export function specOf(options: ChangeOptions, bootDeviceOf: (text: string) => object): Record<string, unknown> {
  const { extra = [], boot, bootRetry } = options;
  const bootOptions = given({
    bootDelay: options.bootDelay,
    enterBIOSSetup: options.setup,
    efiSecureBootEnabled: options.secureBoot,
    bootRetryEnabled: bootRetry === undefined ? undefined : bootRetry > 0,
    bootRetryDelay: bootRetry === 0 ? undefined : bootRetry,
    bootOrder: boot === undefined ? undefined : boot.split(',').map((text) => bootDeviceOf(text.trim())),
  });
  return (
    given({
      name: options.name,
      annotation: options.annotation,
      guestId: options.guest,
      firmware: options.firmware,
      version: options.hardware,
      uuid: options.uuid,
      numCPUs: options.cpus,
      numCoresPerSocket: options.cores,
      memoryMB: options.memory,
      cpuHotAddEnabled: options.cpuHotAdd,
      cpuHotRemoveEnabled: options.cpuHotRemove,
      memoryHotAddEnabled: options.memoryHotAdd,
      memoryReservationLockedToMax: options.lockMemory,
      changeTrackingEnabled: options.changeTracking,
      latencySensitivity: options.latency && { level: options.latency },
      flags: given({ diskUuidEnabled: options.diskUuid }),
      tools: given({ syncTimeWithHost: options.syncTime }),
      cpuAllocation: allocationOf(options.cpuLimit, options.cpuReservation, options.cpuShares),
      memoryAllocation: allocationOf(options.memoryLimit, options.memoryReservation, options.memoryShares),
      bootOptions,
      extraConfig: extra.length === 0 ? undefined : extra.map(extraOf),
    }) ?? {}
  );
}

function allocationOf(limit: number | undefined, reservation: number | undefined, shares: string | undefined) {
  if (shares === undefined) return given({ limit, reservation });
  if (/^(low|normal|high)$/.test(shares)) return given({ limit, reservation, shares: { level: shares, shares: 0 } });
  if (!/^\d+$/.test(shares)) throw new CliError('usage', `'${shares}' is none of low, normal, high and a number.`);
  return given({ limit, reservation, shares: { level: 'custom', shares: Number(shares) } });
}

function extraOf(text: string): object {
  const at = text.indexOf('=');
  if (at < 1) throw new CliError('usage', `'${text}' is not KEY=VALUE.`);
  return { _typeName: 'OptionValue', key: text.slice(0, at), value: text.slice(at + 1) };
}

const bootKinds = { disk: 'Disk', cdrom: 'Cdrom', ethernet: 'Ethernet', floppy: 'Floppy' } as const;

function bootDevice(text: string, devices: Awaited<ReturnType<typeof readDevices>>['devices']): object {
  const [, word = '', rest = ''] = /^([a-z]+)(?:-(.*))?$/.exec(text) ?? [];
  const kind = bootKinds[word as keyof typeof bootKinds];
  if (kind === undefined)
    throw new CliError('usage', `'${text}' is nothing to boot from: disk, cdrom, ethernet, floppy.`);
  const _typeName = `VirtualMachineBootOptionsBootable${kind}Device`;
  if (kind === 'Cdrom' || kind === 'Floppy') return { _typeName };
  const [controller, unit] = rest.split('-').map(Number);
  const fits = devices.filter((device) =>
    kind === 'Ethernet'
      ? device.key >= 4000 && device.key < 4100 && (rest === '' || device.key === 4000 + Number(rest))
      : device._typeName === 'VirtualDisk' &&
        (rest === '' || (device.controllerKey === controller && device.unitNumber === unit)),
  );
  const [first] = fits;
  if (first === undefined) throw new CliError('not-found', `The machine has no ${text} to boot from.`);
  return { _typeName, deviceKey: first.key };
}

/** The members that are set; undefined where none is. */
function given(members: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  const set = Object.entries(members).filter(([, value]) => value !== undefined);
  return set.length === 0 ? undefined : Object.fromEntries(set);
}
