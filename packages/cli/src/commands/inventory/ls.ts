import type { VirtualMachineSummary } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandDefinition, onServer } from '../../command-context.ts';
import { isCenter, type ServerSession } from '../../connection/server-session.ts';
import { decodeName, type Inventory } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { answerRows } from '../../output/answer.ts';
import { formatBytes, formatDuration } from '../../output/format.ts';

interface MachineRow {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly ip: string | undefined;
  readonly bootTime: string | undefined;
  readonly datastore: string | undefined;
  readonly host: string | undefined;
  /** In the inventory. */
  readonly inventoryPath: string;
  /** Of its `.vmx`. */
  readonly path: string;
}

/** `hypo ls`: the machines of a server. */
export const defineLs: CommandDefinition = (program, context) => {
  program
    .command('ls')
    .description('list machines')
    .addHelpText('after', '\nExamples:\n  hypo ls\n  hypo ls --json | jq -r ".[].name"')
    .action(async (_options: unknown, command: Command) => {
      const { machines, withHosts } = await onServer(command, context, async (session) => ({
        machines: await listMachines(session),
        withHosts: isCenter(session.content),
      }));
      answerRows(context, command, machines, withHosts ? [...head, 'HOST'] : head, (machine) => [
        ...tableRow(machine),
        ...(withHosts ? [machine.host ?? '-'] : []),
      ]);
    });
};

const head = ['NAME', 'STATE', 'CPUS', 'MEMORY', 'IP', 'UPTIME', 'DATASTORE'];

async function listMachines(session: ServerSession): Promise<MachineRow[]> {
  const inventory = await loadInventory(session);
  const machines = inventory.all('VirtualMachine').map(({ ref }) => ref);
  const found = machines.length === 0 ? [] : await session.client.retrieve(machines, ['summary']);
  const rows = found.flatMap(({ ref, values }) =>
    values.summary === undefined ? [] : [rowOf(inventory, ref.value, values.summary)],
  );
  return rows.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

function rowOf(inventory: Inventory, id: string, { config, runtime, guest }: VirtualMachineSummary): MachineRow {
  return {
    id,
    name: decodeName(config.name),
    state: runtime.connectionState === 'connected' ? runtime.powerState : runtime.connectionState,
    cpus: config.numCpu ?? 0,
    memoryMiB: config.memorySizeMB ?? 0,
    ip: guest?.ipAddress,
    bootTime: runtime.powerState === 'poweredOn' ? runtime.bootTime : undefined,
    datastore: /^\[([^\]]*)\]/.exec(config.vmPathName)?.[1],
    host: runtime.host && inventory.byId(runtime.host.value)?.name,
    inventoryPath: inventory.byId(id)?.path ?? '',
    path: config.vmPathName,
  };
}

function tableRow({ name, state, cpus, memoryMiB, ip, bootTime, datastore }: MachineRow): string[] {
  const uptime = bootTime === undefined ? '-' : formatDuration(Date.now() - Date.parse(bootTime));
  return [name, state, String(cpus), formatBytes(memoryMiB * 2 ** 20), ip ?? '-', uptime, datastore ?? '-'];
}
