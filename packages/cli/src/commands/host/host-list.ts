import type { Command } from 'commander';
import { type CommandContext, onServer } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { objectInfo } from '../../info/object-info.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { answerOne, answerRows } from '../../output/answer.ts';
import { formatBytes } from '../../output/format.ts';

/** `hypo host ls` and `hypo host info`. */
export function defineHostList(host: Command, context: CommandContext): void {
  host
    .command('ls')
    .description('list the hosts of a center')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo host ls\n  hypo host ls --json | jq -r ".[] | select(.state != \\"connected\\").name"',
    )
    .action(async (_options: unknown, command: Command) => {
      const rows = await onServer(command, context, listHosts);
      answerRows(context, command, rows, ['NAME', 'STATE', 'MACHINES', 'CORES', 'MEMORY', 'USED', 'IN'], (row) => [
        row.name,
        row.maintenanceMode ? `${row.state}, maintenance` : row.state,
        String(row.machines),
        row.cores === undefined ? '-' : String(row.cores),
        row.memoryBytes === undefined ? '-' : formatBytes(row.memoryBytes),
        row.memoryUsedBytes === undefined ? '-' : formatBytes(row.memoryUsedBytes),
        row.parent,
      ]);
    });
  host
    .command('info')
    .description('show one host')
    .argument('<host>', 'name, path or id')
    .addHelpText('after', '\nExample:\n  hypo host info esx2')
    .action(async (name: string, _options: unknown, command: Command) => {
      const { value, shown } = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        return objectInfo(session, inventory, inventory.find('HostSystem', name));
      });
      answerOne(context, command, value, shown);
    });
}

async function listHosts(session: ServerSession) {
  const inventory = await loadInventory(session);
  const hosts = inventory.all('HostSystem');
  const found =
    hosts.length === 0
      ? []
      : await session.client.retrieve(
          hosts.map(({ ref }) => ref),
          ['summary', 'runtime', 'vm'],
        );
  return found.flatMap(({ ref, values: { summary, runtime, vm = [] } }) => {
    const host = inventory.byId(ref.value);
    if (host === undefined) return [];
    const used = summary?.quickStats.overallMemoryUsage;
    return [
      {
        id: ref.value,
        name: host.name,
        state: runtime?.connectionState ?? 'unknown',
        maintenanceMode: runtime?.inMaintenanceMode ?? false,
        machines: vm.length,
        cores: summary?.hardware?.numCpuCores,
        memoryBytes: summary?.hardware === undefined ? undefined : Number(summary.hardware.memorySize),
        memoryUsedBytes: used === undefined ? undefined : used * 2 ** 20,
        parent: inventory.placeOf(host)?.path ?? '-',
        inventoryPath: host.path,
      },
    ];
  });
}
