import type { ManagedObjectReference } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { type HostAddress, parseHostAddress } from '../../connection/host-address.ts';
import {
  confirmCertificate,
  connectSpec,
  type HostCredentialOptions,
  hostCredentialOptions,
  tellRefusal,
} from '../../connection/host-credentials.ts';
import { requireCenter, type ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { datacenterFolder } from '../../inventory/datacenter-folder.ts';
import { findDatacenter } from '../../inventory/find-object.ts';
import type { InventoryObject } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { runTask } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';

interface JoinOptions extends HostCredentialOptions {
  readonly cluster?: string;
  readonly folder?: string;
  readonly datacenter?: string;
}

/** `hypo host join`: a host into the center. */
export function defineHostJoin(host: Command, context: CommandContext): void {
  const command = host
    .command('join')
    .description('take a host into the center')
    .argument('<address>', 'HOST or HOST:PORT; port 8443 unless told');
  hostCredentialOptions(command)
    .option('--cluster <name>', 'cluster that it becomes part of')
    .option('--folder <path>', "folder of hosts; the datacenter's own unless told")
    .option('--datacenter <name>', 'datacenter; the only one unless told')
    .addHelpText(
      'after',
      `
Examples:
  hypo host join esx2                                    asks for the password of root, and about the certificate
  hypo host join esx2:443 --cluster east --user admin
  hypo host join 10.0.0.7 --host-password-file esx.txt --thumbprint AB:CD:…`,
    )
    .action(async (address: string, _options: unknown, self: Command) => {
      const options = optionsOf<JoinOptions>(self);
      const target = parseHostAddress(address);
      if (options.cluster !== undefined && options.folder !== undefined) {
        throw new CliError('usage', 'A host goes to a cluster or to a folder.', {
          next: 'Give --cluster or --folder, not both.',
        });
      }
      const joined = await onServer(self, context, (session) => join(session, context, target, options));
      answer(context, self, joined, `${joined.name}: joined${joined.parent ? ` ${joined.parent}` : ''}`);
    });
}

async function join(session: ServerSession, context: CommandContext, target: HostAddress, options: JoinOptions) {
  requireCenter(session, 'A host by itself takes in no others.');
  const { client } = session;
  const { datacenter, cluster, folder } = await joinPlace(session, options);
  const asked = await connectSpec(context, target, options);
  const result = await tellRefusal(options.user, target.host, async () => {
    const spec = await confirmCertificate(context, asked, (probe) =>
      client.call(datacenter.ref, 'QueryConnectionInfoViaSpec', { spec: probe }),
    );
    return runTask(session, context, target.host, () =>
      cluster === undefined
        ? client.call(folder.ref, 'AddStandaloneHost_Task', { spec, addConnected: true })
        : client.call(cluster.ref, 'AddHost_Task', { spec, asConnected: true }),
    );
  });
  const inventory = await loadInventory(session);
  const at = { ref: result as ManagedObjectReference };
  const found = inventory.all('HostSystem').find((one) => inventory.isBelow(one, at));
  return {
    id: found?.ref.value,
    name: found?.name ?? target.host,
    parent: found && inventory.placeOf(found)?.path,
    inventoryPath: found?.path,
  };
}

interface JoinPlace {
  readonly datacenter: InventoryObject<'Datacenter'>;
  readonly cluster: InventoryObject<'ClusterComputeResource'> | undefined;
  readonly folder: InventoryObject<'Folder'>;
}

async function joinPlace(session: ServerSession, options: JoinOptions): Promise<JoinPlace> {
  const inventory = await loadInventory(session);
  const within = options.datacenter === undefined ? undefined : inventory.find('Datacenter', options.datacenter);
  const cluster =
    options.cluster === undefined ? undefined : inventory.find('ClusterComputeResource', options.cluster, { within });
  const named = options.folder === undefined ? undefined : inventory.find('Folder', options.folder, { within });
  const chosen = cluster ?? named;
  const datacenter =
    within ?? (chosen && inventory.within(chosen, 'Datacenter')) ?? findDatacenter(inventory, undefined);
  const folder = named ?? (await datacenterFolder(session, inventory, datacenter, 'hostFolder'));
  return { datacenter, cluster, folder };
}
