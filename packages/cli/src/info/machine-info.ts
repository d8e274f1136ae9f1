import { isData, type VirtualDevice, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import type { InventoryObject } from '../inventory/inventory.ts';
import { formatBytes, formatDuration } from '../output/format.ts';
import { printable } from '../output/table.ts';

/** All that matters of one machine. */
export async function machineInfo(
  { client }: ServerSession,
  machine: InventoryObject<'VirtualMachine'>,
  host?: string,
) {
  const [found] = await client.retrieve(machine.ref, ['summary', 'config', 'guest']);
  const { summary, config, guest } = found?.values ?? {};
  const { runtime } = summary ?? {};
  return {
    id: machine.ref.value,
    name: machine.name,
    inventoryPath: machine.path,
    host,
    state: runtime?.powerState,
    connection: runtime?.connectionState === 'connected' ? undefined : runtime?.connectionState,
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
}

/** It for people, a line a fact. */
export function describeMachine(info: Awaited<ReturnType<typeof machineInfo>>): string {
  const { name, bootTime, state, memoryMiB, disks, networks, addresses, ...others } = info;
  const running = state === 'poweredOn' && bootTime !== undefined;
  const shown: Readonly<Record<string, unknown>> = {
    name,
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
