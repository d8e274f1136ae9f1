import { isData, type VirtualDevice, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../command-context.ts';
import { findMachine } from '../inventory/find-object.ts';
import { formatBytes, formatDuration } from '../output/format.ts';
import { printable } from '../output/table.ts';
import { print, printJson } from '../output/terminal.ts';

/** `hypo info`: all that matters of one machine. */
export const defineInfo: CommandDefinition = (program, context) => {
  program
    .command('info')
    .description('show one machine')
    .argument('<machine>', 'name or id')
    .addHelpText('after', '\nExamples:\n  hypo info web\n  hypo info web --json')
    .action(async (name: string, _options: unknown, command: Command) => {
      const info = await onServer(command, context, async (session) => {
        const machine = await findMachine(session, name);
        const [found] = await session.client.retrieve(machine.ref, ['summary', 'config', 'guest']);
        const { summary, config, guest } = found?.values ?? {};
        const { runtime } = summary ?? {};
        return {
          id: machine.ref.value,
          name: machine.name,
          state: runtime?.powerState,
          bootTime: runtime?.bootTime,
          question: runtime?.question?.text,
          guest: config?.guestFullName,
          cpus: config?.hardware.numCPU,
          memoryMiB: config?.hardware.memoryMB,
          firmware: config?.firmware,
          hardwareVersion: config?.version,
          uuid: config?.uuid,
          path: config?.files.vmPathName,
          hostName: guest?.hostName,
          addresses: (guest?.net ?? []).flatMap((nic) => nic.ipAddress ?? []),
          disks: config === undefined ? [] : disksOf(config),
          networks: config === undefined ? [] : networksOf(config),
          annotation: config?.annotation || undefined,
        };
      });
      if (optionsOf(command).json) printJson(context.terminal, info);
      else print(context.terminal, describe(info));
    });
};

interface MachineInfo {
  readonly [label: string]: unknown;
  readonly bootTime: string | undefined;
  readonly state: string | undefined;
  readonly memoryMiB: number | undefined;
  readonly disks: ReturnType<typeof disksOf>;
  readonly networks: ReturnType<typeof networksOf>;
  readonly addresses: readonly string[];
}

function describe(info: MachineInfo): string {
  const { bootTime, state, memoryMiB, disks, networks, addresses, ...others } = info;
  const running = state === 'poweredOn' && bootTime !== undefined;
  const shown: Readonly<Record<string, unknown>> = {
    name: others.name,
    state: running ? `${state}, for ${formatDuration(Date.now() - Date.parse(bootTime))}` : state,
    ...others,
    memory: memoryMiB === undefined ? undefined : formatBytes(memoryMiB * 2 ** 20),
    addresses: addresses.join(', ') || undefined,
  };
  const lines = Object.entries(shown)
    .filter(([, value]) => value !== undefined)
    .map(([label, value]) => line(label, printable(String(value))));
  for (const { label, bytes, file } of disks) lines.push(line('disk', `${label}, ${formatBytes(bytes)}, ${file}`));
  for (const { label, mac, network } of networks) lines.push(line('network', `${label}, ${mac}, ${network}`));
  return lines.join('\n');
}

function line(label: string, text: string): string {
  return `${label.padEnd(16)} ${text}`;
}

function disksOf(config: VirtualMachineConfigInfo) {
  return devices(config).flatMap((device) =>
    isData('VirtualDisk', device)
      ? [
          {
            label: labelOf(device),
            bytes: Number(device.capacityInBytes ?? Number(device.capacityInKB) * 1024),
            file: backingMember(device, 'fileName'),
          },
        ]
      : [],
  );
}

function networksOf(config: VirtualMachineConfigInfo) {
  return devices(config).flatMap((device) =>
    // Each model of card is a type of its own.
    'macAddress' in device
      ? [{ label: labelOf(device), mac: String(device.macAddress ?? ''), network: backingMember(device, 'deviceName') }]
      : [],
  );
}

function devices(config: VirtualMachineConfigInfo): readonly VirtualDevice[] {
  return config.hardware.device ?? [];
}

function labelOf(device: VirtualDevice): string {
  return device.deviceInfo?.label ?? `device ${device.key}`;
}

function backingMember(device: VirtualDevice, member: string): string {
  const value = (device.backing as unknown as Readonly<Record<string, unknown>> | undefined)?.[member];
  return typeof value === 'string' ? value : '';
}
