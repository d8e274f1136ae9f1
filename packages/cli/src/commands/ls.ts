import type { VirtualMachineSummary } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../command-context.ts';
import type { ServerSession } from '../connection/server-session.ts';
import { decodeName, listObjects } from '../inventory/walk.ts';
import { formatBytes, formatDuration } from '../output/format.ts';
import { formatTable } from '../output/table.ts';
import { print, printJson } from '../output/terminal.ts';

interface MachineRow {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly ip: string | undefined;
  readonly bootTime: string | undefined;
  readonly datastore: string | undefined;
  readonly path: string;
}

/** `hypo ls`: the machines of a server. */
export const defineLs: CommandDefinition = (program, context) => {
  program
    .command('ls')
    .description('list machines')
    .addHelpText('after', '\nExamples:\n  hypo ls\n  hypo ls --json | jq -r ".[].name"')
    .action(async (_options: unknown, command: Command) => {
      const machines = await onServer(command, context, listMachines);
      if (optionsOf(command).json) printJson(context.terminal, machines);
      else print(context.terminal, formatTable(head, machines.map(tableRow)));
    });
};

const head = ['NAME', 'STATE', 'CPUS', 'MEMORY', 'IP', 'UPTIME', 'DATASTORE'];

async function listMachines(session: ServerSession): Promise<MachineRow[]> {
  const machines = await listObjects(session, 'VirtualMachine');
  const found = await session.client.retrieve(
    machines.map(({ ref }) => ref),
    ['summary'],
  );
  const rows = found.flatMap(({ ref, values }) =>
    values.summary === undefined ? [] : [rowOf(ref.value, values.summary)],
  );
  return rows.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

function rowOf(id: string, { config, runtime, guest }: VirtualMachineSummary): MachineRow {
  return {
    id,
    name: decodeName(config.name),
    state: runtime.connectionState === 'connected' ? runtime.powerState : runtime.connectionState,
    cpus: config.numCpu ?? 0,
    memoryMiB: config.memorySizeMB ?? 0,
    ip: guest?.ipAddress,
    bootTime: runtime.powerState === 'poweredOn' ? runtime.bootTime : undefined,
    datastore: /^\[([^\]]*)\]/.exec(config.vmPathName)?.[1],
    path: config.vmPathName,
  };
}

function tableRow({ name, state, cpus, memoryMiB, ip, bootTime, datastore }: MachineRow): string[] {
  const uptime = bootTime === undefined ? '-' : formatDuration(Date.now() - Date.parse(bootTime));
  return [name, state, String(cpus), formatBytes(memoryMiB * 2 ** 20), ip ?? '-', uptime, datastore ?? '-'];
}
