import { data, type ResourceAllocationInfo, type ResourceConfigSpec, type SharesInfo } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { allocationText, objectInfo } from '../../info/object-info.ts';
import { findAnything } from '../../inventory/find-object.ts';
import type { Inventory, InventoryObject } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { parseNewPlace } from '../../inventory/new-place.ts';
import { onEach } from '../../inventory/on-each.ts';
import { poolOf } from '../../inventory/pool-of.ts';
import { runTask, withName } from '../../inventory/run-task.ts';
import { answer, answerOne, answerRows } from '../../output/answer.ts';

interface AllocationOptions {
  readonly cpuReservation?: number;
  readonly cpuLimit?: number;
  readonly cpuShares?: SharesInfo;
  readonly memoryReservation?: number;
  readonly memoryLimit?: number;
  readonly memoryShares?: SharesInfo;
  readonly expandable?: boolean;
}

/** `hypo pool`: shares of what a cluster or host has. */
export const definePool: CommandDefinition = (program, context) => {
  const pool = program
    .command('pool')
    .description('create, list, show, change and remove resource pools')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo pool create gold --in east --cpu-reservation 4000 --cpu-shares high\n  hypo pool ls\n  hypo mv web1 gold',
    );
  defineCreate(pool, context);
  pool
    .command('ls')
    .description('list resource pools')
    .addHelpText('after', '\nExample:\n  hypo pool ls --json')
    .action(async (_options: unknown, command: Command) => {
      const rows = await onServer(command, context, listPools);
      answerRows(context, command, rows, ['PATH', 'CPU', 'MEMORY', 'MACHINES'], (row) => [
        row.inventoryPath,
        allocationText(row.cpu, 'MHz') ?? '-',
        allocationText(row.memory, 'MiB') ?? '-',
        String(row.machines),
      ]);
    });
  pool
    .command('info')
    .description('show one resource pool')
    .argument('<pool>', 'name, path or id; a cluster or host for its root pool')
    .addHelpText('after', '\nExample:\n  hypo pool info gold')
    .action(async (name: string, _options: unknown, command: Command) => {
      const { value, shown } = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        return objectInfo(session, inventory, findPool(inventory, name));
      });
      answerOne(context, command, value, shown);
    });
  allocationOptions(
    pool.command('change').description('change what a resource pool gets').argument('<pool>', 'name, path or id'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  hypo pool change gold --memory-limit 8192\n  hypo pool change gold --cpu-limit unlimited',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<AllocationOptions>(command);
      if (Object.values(allocationsOf(options)).every((part) => Object.keys(part).length === 0)) {
        throw new CliError('usage', 'Nothing is said to change.', {
          next: 'Give limits, reservations or shares: see --help.',
        });
      }
      await onEach(command, context, {
        find: (inventory) => [findPool(inventory, name)],
        done: 'changed',
        act: async ({ client }, { ref }) => {
          const [found] = await client.retrieve(ref, ['config']);
          await client.call(ref, 'UpdateConfig', { config: changed(found?.values.config, options) });
        },
      });
    });
  pool
    .command('rm')
    .description('remove resource pools; what is in them goes to the pool around')
    .argument('<pools...>', 'names, paths or ids')
    .addHelpText('after', '\nExample:\n  hypo pool rm gold')
    .action(async (names: string[], _options: unknown, command: Command) => {
      await onEach(command, context, {
        find: (inventory) => names.map((name) => inventory.find('ResourcePool', name)),
        done: 'removed',
        act: (session, { ref, name }) =>
          runTask(session, context, name, () => session.client.call(ref, 'Destroy_Task', {})),
      });
    });
};

function allocationOptions(command: Command): Command {
  return command
    .option('--cpu-reservation <MHz>', 'what is kept for it', amount)
    .option('--cpu-limit <MHz>', "most that it gets, or 'unlimited'", limit)
    .option('--cpu-shares <shares>', 'low, normal, high, or a number', shares)
    .option('--memory-reservation <MiB>', 'what is kept for it', amount)
    .option('--memory-limit <MiB>', "most that it gets, or 'unlimited'", limit)
    .option('--memory-shares <shares>', 'low, normal, high, or a number', shares)
    .option('--expandable', 'reservations within may take from the pool around')
    .option('--no-expandable', 'they may not');
}

function amount(text: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new CliError('usage', `'${text}' is no amount.`, { next: 'Give a whole number.' });
}

function limit(text: string): number {
  return text === 'unlimited' || text === '-1' ? -1 : amount(text);
}

function shares(text: string): SharesInfo {
  if (text === 'low' || text === 'normal' || text === 'high') return data('SharesInfo', { shares: 0, level: text });
  return data('SharesInfo', { shares: amount(text), level: 'custom' });
}

function allocationsOf(options: AllocationOptions) {
  const { cpuReservation, cpuLimit, cpuShares, memoryReservation, memoryLimit, memoryShares } = options;
  // Commander gives what has a --no- form a value of its own.
  const { expandable } = options;
  const part = (reservation?: number, most?: number, share?: SharesInfo) => ({
    ...(reservation === undefined ? {} : { reservation }),
    ...(most === undefined ? {} : { limit: most }),
    ...(share === undefined ? {} : { shares: share }),
    ...(expandable === undefined ? {} : { expandableReservation: expandable }),
  });
  return {
    cpu: part(cpuReservation, cpuLimit, cpuShares),
    memory: part(memoryReservation, memoryLimit, memoryShares),
  };
}

const whole = { reservation: 0, expandableReservation: true, limit: -1 } as const;
const normal = data('SharesInfo', { shares: 0, level: 'normal' });

function changed(before: ResourceConfigSpec | undefined, options: AllocationOptions): ResourceConfigSpec {
  const { cpu, memory } = allocationsOf(options);
  const allocation = (old: ResourceAllocationInfo | undefined, more: object) =>
    data('ResourceAllocationInfo', { ...whole, shares: normal, ...old, ...more });
  return data('ResourceConfigSpec', {
    cpuAllocation: allocation(before?.cpuAllocation, cpu),
    memoryAllocation: allocation(before?.memoryAllocation, memory),
  });
}

/** A pool, or the root pool of a cluster or host. */
function findPool(inventory: Inventory, name: string): InventoryObject<'ResourcePool'> {
  const place = findAnything(inventory, name, ['ResourcePool', 'ComputeResource', 'HostSystem']);
  const found = inventory.byId(poolOf(inventory, place).value);
  return (found ?? place) as InventoryObject<'ResourcePool'>;
}

function defineCreate(pool: Command, context: CommandContext): void {
  allocationOptions(
    pool
      .command('create')
      .description('create a resource pool')
      .argument('<path>', 'a name, or a path below another pool')
      .option('--in <place>', 'cluster, host or pool that it takes from; the only one unless told'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  hypo pool create gold --in east --cpu-shares high\n  hypo pool create /Datacenter/host/east/Resources/gold/web',
    )
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = optionsOf<AllocationOptions & { in?: string }>(command);
      const { parent, name, encoded } = parseNewPlace(path);
      if (parent !== undefined && options.in !== undefined) {
        throw new CliError('usage', 'The path says already what the pool takes from.', { next: 'Leave out --in.' });
      }
      const created = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const place = parent ?? options.in;
        const into = place === undefined ? onlyRootPool(inventory) : findPool(inventory, place);
        const ref = await session.client
          .call(into.ref, 'CreateResourcePool', { name: encoded, spec: changed(undefined, options) })
          .catch((error: unknown) => {
            throw withName(name, error);
          });
        return { id: ref.value, name, inventoryPath: `${into.path}/${encoded}` };
      });
      answer(context, command, created, `${created.inventoryPath}: created`);
    });
}

function onlyRootPool(inventory: Inventory): InventoryObject<'ResourcePool'> {
  const places = inventory.all('ComputeResource');
  const [only] = places;
  if (only !== undefined && places.length === 1) return findPool(inventory, only.ref.value);
  throw new CliError('usage', `The server has ${places.length} clusters and hosts that a pool could take from.`, {
    next: `Say which with --in: ${places.map(({ name }) => name).join(', ')}.`,
  });
}

async function listPools(session: ServerSession) {
  const inventory = await loadInventory(session);
  const pools = inventory.all('ResourcePool');
  if (pools.length === 0) return [];
  const found = await session.client.retrieve(
    pools.map(({ ref }) => ref),
    ['config', 'vm'],
  );
  const values = new Map(found.map((one) => [one.ref.value, one.values]));
  return pools.map(({ ref, name, path }) => {
    const { config, vm = [] } = values.get(ref.value) ?? {};
    return {
      id: ref.value,
      name,
      inventoryPath: path,
      cpu: config?.cpuAllocation,
      memory: config?.memoryAllocation,
      machines: vm.length,
    };
  });
}
