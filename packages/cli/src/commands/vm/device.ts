import type { VirtualDevice } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import {
  deviceBacking,
  deviceChange,
  deviceName,
  findDevice,
  readDevices,
  reconfigure,
} from '../../inventory/devices.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { defineDeviceAdd } from './device-add.ts';
import { defineDeviceBandwidth } from './device-bandwidth.ts';

const machineArgument = 'name, path or id of the machine';
const deviceArgument = 'such as disk-1000-0 or ethernet-0, by name, label or key';

/** `hypo device`: what machines have. */
export const defineDevice: CommandDefinition = (program, context) => {
  const device = program
    .command('device')
    .description('list, add, change and remove devices of machines, running or not')
    .addHelpText(
      'after',
      `
Examples:
  hypo device ls web
  hypo device add web ethernet --network "VM Network"
  hypo device insert web cdrom-3000 "[datastore1] iso/debian.iso"
  hypo device disconnect web ethernet-0
  hypo device bandwidth web ethernet-0 --limit 100
  hypo device remove web disk-1000-1 --keep`,
    );
  defineLists(device, context);
  defineDeviceAdd(device, context);
  defineConnections(device, context);
  defineMedia(device, context);
  defineDeviceBandwidth(device, context);
  defineRemove(device, context);
};

interface DeviceRow {
  readonly name: string;
  readonly type: string;
  readonly label: string;
  readonly summary: string;
  readonly connected: boolean | undefined;
  readonly backing: string;
}

function rowOf(device: VirtualDevice): DeviceRow {
  return {
    name: deviceName(device),
    type: device._typeName ?? 'VirtualDevice',
    label: device.deviceInfo?.label?.trim() ?? '',
    summary: device.deviceInfo?.summary?.trim() ?? '',
    connected: device.connectable?.connected,
    backing: deviceBacking(device),
  };
}

function defineLists(device: Command, context: CommandContext): void {
  device
    .command('ls')
    .description('list the devices of a machine')
    .argument('<machine>', machineArgument)
    .addHelpText('after', '\nExample:\n  hypo device ls web')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const { devices } = await onServer(command, context, (session) => readDevices(session, machine));
      answerRows(context, command, devices.map(rowOf), ['NAME', 'TYPE', 'SUMMARY'], ({ name, type, summary }) => [
        name,
        type,
        summary,
      ]);
    });
  device
    .command('info')
    .description('show devices of a machine, with all that is known of them')
    .argument('<machine>', machineArgument)
    .argument('<device...>', deviceArgument)
    .addHelpText('after', '\nExample:\n  hypo device info web disk-1000-0 ethernet-0 --json')
    .action(async (machine: string, names: string[], _options: unknown, command: Command) => {
      const found = await onServer(command, context, (session) => readDevices(session, machine));
      const devices = names.map((name) => findDevice(found, name));
      const lines = devices.flatMap((one) => {
        const { name, type, label, summary, connected, backing } = rowOf(one);
        const place = one.controllerKey === undefined ? '' : `${one.controllerKey}:${one.unitNumber ?? ''}`;
        const is = connected === undefined ? '' : connected ? 'yes' : 'no';
        const facts = { name, type, label, summary, backing, place, connected: is, mac: macOf(one) };
        return [...Object.entries(facts).flatMap(([fact, text]) => (text ? [`${fact.padEnd(12)}${text}`] : [])), ''];
      });
      answer(context, command, devices, lines.join('\n').trimEnd());
    });
}

function macOf(device: VirtualDevice): string {
  return (device as { readonly macAddress?: string }).macAddress ?? '';
}

function defineConnections(device: Command, context: CommandContext): void {
  for (const [verb, connected] of [
    ['connect', true],
    ['disconnect', false],
  ] as const) {
    device
      .command(verb)
      .description(`${verb} adapters and drives of a machine that runs; --at-start too for its next starts`)
      .argument('<machine>', machineArgument)
      .argument('<device...>', deviceArgument)
      .option('--at-start', 'for its next starts too')
      .addHelpText('after', `\nExample:\n  hypo device ${verb} web ethernet-0`)
      .action(async (machine: string, names: string[], _options: unknown, command: Command) => {
        const { atStart = false } = optionsOf<{ atStart?: boolean }>(command);
        await onServer(command, context, async (session) => {
          const found = await readDevices(session, machine);
          const changes = names.map((name) => {
            const one = findDevice(found, name);
            if (one.connectable === undefined)
              throw new CliError('usage', `${name} is not connected and disconnected: remove it, or add it.`);
            const startConnected = atStart ? connected : one.connectable.startConnected;
            return deviceChange('edit', { ...one, connectable: { ...one.connectable, connected, startConnected } });
          });
          await reconfigure(session, context, found, { deviceChange: changes });
        });
        answer(context, command, { machine, devices: names, connected }, `${machine}: ${names.join(', ')} ${verb}ed`);
      });
  }
}

function defineMedia(device: Command, context: CommandContext): void {
  const put = (machine: string, drive: string, fileName: string | undefined, command: Command) =>
    onServer(command, context, async (session) => {
      const found = await readDevices(session, machine);
      const one = findDevice(found, drive);
      const kind =
        one._typeName === 'VirtualCdrom' ? 'Cdrom' : one._typeName === 'VirtualFloppy' ? 'Floppy' : undefined;
      if (kind === undefined) throw new CliError('usage', `${drive} is no drive for images.`);
      const backing =
        fileName === undefined
          ? {
              _typeName: `Virtual${kind}Remote${kind === 'Cdrom' ? 'Passthrough' : 'Device'}BackingInfo`,
              deviceName: '',
            }
          : { _typeName: `Virtual${kind}${kind === 'Cdrom' ? 'Iso' : 'Image'}BackingInfo`, fileName };
      const inserted = fileName !== undefined;
      const connectable = {
        ...one.connectable,
        connected: inserted,
        startConnected: inserted,
        allowGuestControl: true,
      };
      const more = fileName === undefined && kind === 'Cdrom' ? { exclusive: false } : {};
      const edited = { ...one, backing: { ...backing, ...more }, connectable };
      await reconfigure(session, context, found, { deviceChange: [deviceChange('edit', edited)] });
    });
  device
    .command('insert')
    .description('put an image into a CD-ROM or floppy drive')
    .argument('<machine>', machineArgument)
    .argument('<drive>', 'such as cdrom-3000')
    .argument('<image>', 'its path, such as "[datastore1] iso/debian.iso"')
    .addHelpText('after', '\nExample:\n  hypo device insert web cdrom-3000 "[datastore1] iso/debian.iso"')
    .action(async (machine: string, drive: string, image: string, _options: unknown, command: Command) => {
      await put(machine, drive, image, command);
      answer(context, command, { machine, drive, image }, `${machine}: ${image} is in ${drive}`);
    });
  device
    .command('eject')
    .description('empty a CD-ROM or floppy drive')
    .argument('<machine>', machineArgument)
    .argument('<drive>', 'such as cdrom-3000')
    .addHelpText('after', '\nExample:\n  hypo device eject web cdrom-3000')
    .action(async (machine: string, drive: string, _options: unknown, command: Command) => {
      await put(machine, drive, undefined, command);
      answer(context, command, { machine, drive, image: null }, `${machine}: ${drive} is empty`);
    });
}

function defineRemove(device: Command, context: CommandContext): void {
  device
    .command('remove')
    .alias('rm')
    .description('remove devices of a machine; the files of disks too, unless told')
    .argument('<machine>', machineArgument)
    .argument('<device...>', deviceArgument)
    .option('--keep', 'the files of disks stay')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo device remove web ethernet-1\n  hypo device remove web disk-1000-1 --keep',
    )
    .action(async (machine: string, names: string[], _options: unknown, command: Command) => {
      const { keep = false } = optionsOf<{ keep?: boolean }>(command);
      await onServer(command, context, async (session) => {
        const found = await readDevices(session, machine);
        const changes = names.map((name) => {
          const one = findDevice(found, name);
          return deviceChange('remove', one, one._typeName === 'VirtualDisk' && !keep ? 'destroy' : undefined);
        });
        await reconfigure(session, context, found, { deviceChange: changes });
      });
      answer(context, command, { machine, removed: names }, `${machine}: ${names.join(', ')} removed`);
    });
}
