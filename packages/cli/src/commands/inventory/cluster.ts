import {
  type ClusterConfigInfoEx,
  type ClusterConfigSpecEx,
  type ComputeResourceConfigInfo,
  data,
  isData,
} from '@hypostyle/vim';
import { type Command, Option } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { datacenterFolder } from '../../inventory/datacenter-folder.ts';
import { findAnything, findDatacenter } from '../../inventory/find-object.ts';
import type { Inventory, InventoryObject } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { parseNewPlace } from '../../inventory/new-place.ts';
import { onEach } from '../../inventory/on-each.ts';
import { runTask, withName } from '../../inventory/run-task.ts';
import { answer, answerOne, answerRows } from '../../output/answer.ts';

type Cluster = InventoryObject<'ClusterComputeResource'>;

const drsModes = ['off', 'manual', 'partiallyAutomated', 'fullyAutomated'] as const;

interface ClusterOptions {
  readonly drs?: (typeof drsModes)[number];
  readonly ha?: 'on' | 'off';
}

/** `hypo cluster`: hosts whose machines share what they have. */
export const defineCluster: CommandDefinition = (program, context) => {
  const cluster = program
    .command('cluster')
    .description('create, list, show, change and remove clusters of hosts')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo cluster create east\n  hypo host join esx2 --cluster east\n  hypo cluster info east',
    );
  defineCreate(cluster, context);
  cluster
    .command('ls')
    .description('list clusters')
    .addHelpText('after', '\nExample:\n  hypo cluster ls --json')
    .action(async (_options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        return Promise.all(inventory.all('ClusterComputeResource').map((one) => describe(session, inventory, one)));
      });
      answerRows(context, command, rows, ['NAME', 'HOSTS', 'MACHINES', 'DRS', 'HA', 'PATH'], (row) => [
        row.name,
        String(row.hosts.length),
        String(row.machines),
        row.drs,
        row.ha,
        row.inventoryPath,
      ]);
    });
  cluster
    .command('info')
    .description('show one cluster')
    .argument('<cluster>', 'name, path or id')
    .addHelpText('after', '\nExample:\n  hypo cluster info east')
    .action(async (name: string, _options: unknown, command: Command) => {
      const info = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        return describe(session, inventory, inventory.find('ClusterComputeResource', name));
      });
      answerOne(context, command, info, {
        ...info,
        hosts: info.hosts.join(', ') || 'none',
        machines: String(info.machines),
      });
    });
  defineChange(cluster, context);
  cluster
    .command('rm')
    .description('remove clusters')
    .argument('<clusters...>', 'names, paths or ids')
    .option('--force', 'with their hosts, which are let go: machines run on')
    .addHelpText('after', '\nExample:\n  hypo cluster rm east')
    .action(async (names: string[], _options: unknown, command: Command) => {
      const { force } = optionsOf<{ force?: boolean }>(command);
      await onEach(command, context, {
        find: (inventory) => names.map((name) => inventory.find('ClusterComputeResource', name)),
        done: 'removed',
        act: async (session, one, inventory) => {
          const hosts = hostsOf(inventory, one);
          if (hosts.length > 0 && !force) {
            throw new CliError('failed', `${one.name} has hosts: ${hosts.join(', ')}.`, {
              next: "Move them with 'hypo mv HOST /DATACENTER/host', let them go with 'hypo host rm', or use --force.",
            });
          }
          await runTask(session, context, one.name, () => session.client.call(one.ref, 'Destroy_Task', {}));
        },
      });
    });
};

function settings(command: Command): Command {
  return command
    .addOption(new Option('--drs <mode>', 'who places and moves machines').choices(drsModes))
    .addOption(
      new Option('--ha <state>', 'whether machines of a host that fails start elsewhere').choices(['on', 'off']),
    );
}

function specOf({ drs, ha }: ClusterOptions): ClusterConfigSpecEx {
  return data('ClusterConfigSpecEx', {
    ...(drs === undefined
      ? {}
      : {
          drsConfig: data('ClusterDrsConfigInfo', {
            enabled: drs !== 'off',
            ...(drs === 'off' ? {} : { defaultVmBehavior: drs }),
          }),
        }),
    ...(ha === undefined ? {} : { dasConfig: data('ClusterDasConfigInfo', { enabled: ha === 'on' }) }),
  });
}

function defineCreate(cluster: Command, context: CommandContext): void {
  settings(
    cluster
      .command('create')
      .description('create a cluster')
      .argument('<path>', 'a name, or a path below a folder of hosts')
      .option('--datacenter <name>', 'datacenter; the only one unless told'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  hypo cluster create east\n  hypo cluster create /Berlin/host/east --drs manual --ha on',
    )
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = optionsOf<ClusterOptions & { datacenter?: string }>(command);
      const { parent, name, encoded } = parseNewPlace(path);
      const created = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const into =
          parent === undefined
            ? findDatacenter(inventory, options.datacenter)
            : findAnything(inventory, parent, ['Folder', 'Datacenter']);
        const folder =
          into.ref.type === 'Datacenter'
            ? await datacenterFolder(session, inventory, into as InventoryObject<'Datacenter'>, 'hostFolder')
            : (into as InventoryObject<'Folder'>);
        const ref = await session.client
          .call(folder.ref, 'CreateClusterEx', { name: encoded, spec: specOf(options) })
          .catch((error: unknown) => {
            throw withName(name, error);
          });
        return { id: ref.value, name, inventoryPath: `${folder.path}/${encoded}` };
      });
      answer(context, command, created, `${created.inventoryPath}: created`);
    });
}

function defineChange(cluster: Command, context: CommandContext): void {
  settings(
    cluster
      .command('change')
      .description('change the settings of clusters')
      .argument('<clusters...>', 'names, paths or ids'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  hypo cluster change east --drs fullyAutomated\n  hypo cluster change east --ha off',
    )
    .action(async (names: string[], _options: unknown, command: Command) => {
      const options = optionsOf<ClusterOptions>(command);
      if (options.drs === undefined && options.ha === undefined) {
        throw new CliError('usage', 'Nothing is said to change.', { next: 'Give --drs or --ha.' });
      }
      await onEach(command, context, {
        find: (inventory) => names.map((name) => inventory.find('ClusterComputeResource', name)),
        done: 'changed',
        act: (session, { ref, name }) =>
          runTask(session, context, name, () =>
            session.client.call(ref, 'ReconfigureComputeResource_Task', { spec: specOf(options), modify: true }),
          ),
      });
    });
}

async function describe(session: ServerSession, inventory: Inventory, one: Cluster) {
  const [found] = await session.client.retrieve(one.ref, ['configurationEx']);
  const { drsConfig, dasConfig } = extended(found?.values.configurationEx) ?? {};
  const drs = drsConfig?.enabled ? (drsConfig.defaultVmBehavior ?? 'fullyAutomated') : 'off';
  return {
    id: one.ref.value,
    name: one.name,
    hosts: hostsOf(inventory, one),
    machines: await machinesOf(session, inventory, one),
    drs: drs as string,
    ha: dasConfig?.enabled ? 'on' : 'off',
    inventoryPath: one.path,
  };
}

function extended(info: ComputeResourceConfigInfo | undefined): ClusterConfigInfoEx | undefined {
  return isData('ClusterConfigInfoEx', info) ? info : undefined;
}

function hostsOf(inventory: Inventory, one: InventoryObject): string[] {
  return inventory.all('HostSystem').flatMap((host) => (inventory.isBelow(host, one) ? [host.name] : []));
}

async function machinesOf({ client }: ServerSession, inventory: Inventory, one: InventoryObject): Promise<number> {
  const hosts = inventory.all('HostSystem').filter((host) => inventory.isBelow(host, one));
  if (hosts.length === 0) return 0;
  const found = await client.retrieve(
    hosts.map(({ ref }) => ref),
    ['vm'],
  );
  return found.reduce((sum, { values }) => sum + (values.vm?.length ?? 0), 0);
}
