import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { datacenterFolder } from '../../inventory/datacenter-folder.ts';
import { findAnything } from '../../inventory/find-object.ts';
import type { Inventory, InventoryKind, InventoryObject } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { poolOf } from '../../inventory/pool-of.ts';
import { runTask, withName } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';

/** `hypo mv`: objects to another place of the inventory. Nothing moves on disk or between hosts. */
export const defineMv: CommandDefinition = (program, context) => {
  program
    .command('mv')
    .description('move objects to another folder, resource pool or cluster of the inventory')
    .argument('<objects...>', 'names, paths or ids; the last is where they go')
    .addHelpText(
      'after',
      `
Machines and folders go to folders, machines and pools to pools, hosts to folders of hosts and to clusters. Where
machines run and where their files lie stays as it is.

Examples:
  hypo mv web1 web2 /Datacenter/vm/web
  hypo mv web1 /Datacenter/host/east/Resources/gold
  hypo mv esx2 east`,
    )
    .action((names: string[], _options: unknown, command: Command) => moveObjects(command, context, names));
};

/** Moves all of `names` but the last into the last. */
export async function moveObjects(
  command: Command,
  context: CommandContext,
  names: readonly string[],
  kinds?: readonly InventoryKind[],
): Promise<void> {
  const to = names.at(-1);
  if (to === undefined || names.length < 2) {
    throw new CliError('usage', 'It takes what is moved and where it goes.', {
      next: `For example 'hypo mv web1 /Datacenter/vm/web'.`,
    });
  }
  const moved = await onServer(command, context, async (session) => {
    const inventory = await loadInventory(session);
    const objects = names.slice(0, -1).map((name) => findAnything(inventory, name, kinds));
    const place = findAnything(inventory, to, ['Folder', 'ResourcePool', 'ComputeResource', 'Datacenter']);
    await moveInto(session, context, inventory, objects, place);
    return objects.map(({ ref, name }) => ({ id: ref.value, name, to: place.path }));
  });
  answer(context, command, moved, moved.map(({ name, to: path }) => `${name}: moved to ${path}`).join('\n'));
}

async function moveInto(
  session: ServerSession,
  context: CommandContext,
  inventory: Inventory,
  objects: readonly InventoryObject[],
  place: InventoryObject,
): Promise<void> {
  const { client } = session;
  const label = objects.map(({ name }) => name).join(', ');
  const list = (all: readonly InventoryObject[]) => all.map(({ ref }) => ref);
  switch (place.ref.type) {
    case 'Folder':
    case 'StoragePod': {
      // A host of its own goes with its compute resource.
      const entities = objects.map((one) => (one.ref.type === 'HostSystem' ? ofItsOwn(inventory, one) : one));
      const folder = place as InventoryObject<'Folder'>;
      await runTask(session, context, label, () =>
        client.call(folder.ref, 'MoveIntoFolder_Task', { list: list(entities) }),
      );
      return;
    }
    case 'Datacenter': {
      const datacenter = place as InventoryObject<'Datacenter'>;
      for (const one of objects) {
        const into = await datacenterFolder(session, inventory, datacenter, folderFor(one));
        await moveInto(session, context, inventory, [one], into);
      }
      return;
    }
    case 'ClusterComputeResource': {
      const cluster = place as InventoryObject<'ClusterComputeResource'>;
      const hosts = objects.filter(({ ref }) => ref.type === 'HostSystem') as InventoryObject<'HostSystem'>[];
      if (hosts.length === objects.length) {
        await runTask(session, context, label, () =>
          client.call(cluster.ref, 'MoveInto_Task', { host: hosts.map(({ ref }) => ref) }),
        );
        return;
      }
      break;
    }
  }
  const pool = poolOf(inventory, place);
  await client.call(pool, 'MoveIntoResourcePool', { list: list(objects) }).catch((error: unknown) => {
    throw withName(label, error);
  });
}

function ofItsOwn(inventory: Inventory, host: InventoryObject): InventoryObject {
  const compute = inventory.parentOf(host);
  return compute?.ref.type === 'ComputeResource' ? compute : host;
}

function folderFor({ ref }: InventoryObject): 'vmFolder' | 'hostFolder' | 'datastoreFolder' | 'networkFolder' {
  switch (ref.type) {
    case 'HostSystem':
    case 'ComputeResource':
    case 'ClusterComputeResource':
      return 'hostFolder';
    case 'Datastore':
    case 'StoragePod':
      return 'datastoreFolder';
    case 'Network':
    case 'DistributedVirtualPortgroup':
      return 'networkFolder';
    default:
      return 'vmFolder';
  }
}
