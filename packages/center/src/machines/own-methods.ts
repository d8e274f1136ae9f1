import {
  requireForClone,
  requireForDestroy,
  requireForInstantClone,
  requireForMigrate,
  requireForPool,
  requireForReconfigure,
  requireForRelocate,
  requireForRename,
  requirePrivilege,
} from '@hypostyle/services';
import {
  type Call,
  fault,
  type ManagedObjectReference,
  type MethodTable,
  type VirtualMachineTicket,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { HostDocument } from '../inventory/entity-document.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import type { MachineWork } from './machine-methods.ts';
import { machineName } from './machine-place.ts';
import { markedAsMachine } from './templates.ts';

type Arguments = Readonly<Record<string, unknown>>;

/** Rights that tickets need, by their kind: a console unless it is said here. */
const ticketPrivileges: Readonly<Record<string, string>> = {
  guestControl: 'VirtualMachine.Interact.GuestControl',
};

/** Tickets for disks over NBD say whether the disk is written. */
function ticketPrivilege(ticketType: string): string {
  if (!ticketType.startsWith('nbd')) {
    return ticketPrivileges[ticketType] ?? 'VirtualMachine.Interact.ConsoleInteract';
  }
  return `VirtualMachine.Provisioning.${ticketType.endsWith(':rw') ? 'DiskRandomAccess' : 'DiskRandomRead'}`;
}

/** Methods of a machine that need rights on more than it, or in which its center has a word. All else is passed on. */
export function ownMethodsOfMachine({
  core,
  forwarding,
  rename,
  cloning,
  instantCloning,
  relocating,
  migrating,
}: MachineWork): MethodTable<'VirtualMachine'> {
  const scope = privilegeScope(core);
  /** What is another host's is said before the machine's own is asked. */
  const mustStay = (call: Call, refs: readonly (ManagedObjectReference | undefined)[]) => {
    const { link } = core.hosts.route(call.self.ref);
    for (const ref of refs) {
      if (ref === undefined || link.mirror.references.toHost(ref) !== undefined) continue;
      throw fault('NotSupported', {}, 'A template becomes a machine where it is; relocate it first, or clone it.');
    }
  };
  return forwarding.passing<MethodTable<'VirtualMachine'>>({
    ReconfigVM_Task: async (call, args) => {
      requireForReconfigure(scope, call, call.self.ref, args.spec);
      const { name } = args.spec;
      if (name !== undefined && name !== '') await mustBeFree(core, call.self.ref, machineName(name));
      return forwarding.task(call, args as unknown as Arguments);
    },
    Rename_Task: (call, { newName }) => {
      requireForRename(scope, call, call.self.ref);
      return rename(call, newName);
    },
    Destroy_Task: (call) => {
      requireForDestroy(scope, call, call.self.ref);
      return forwarding.task(call, {});
    },
    Reload: async (call) => {
      await forwarding.call(call, {});
    },
    CloneVM_Task: (call, args) => {
      const { folder, spec } = args;
      requireForClone(scope, call, call.self.ref, { folder, spec });
      return cloning(call, args);
    },
    InstantClone_Task: (call, { spec }) => {
      const folder = spec.location.folder ?? homeOf(core, call.self.ref);
      requireForInstantClone(scope, call, call.self.ref, { folder, spec });
      return instantCloning(call, { folder, spec });
    },
    RelocateVM_Task: (call, args) => {
      const { spec } = args;
      requireForRelocate(scope, call, call.self.ref, spec);
      return relocating(call, spec);
    },
    MigrateVM_Task: (call, args) => {
      requireForMigrate(scope, call, call.self.ref, { pool: args.pool });
      return migrating(call, args);
    },
    MarkAsVirtualMachine: async (call, args) => {
      requireForPool(scope, call, args.pool);
      mustStay(call, [args.host]);
      await markedAsMachine(core, forwarding, call, args);
    },
    QueryChangedDiskAreas: async (call, args) => {
      const { snapshot } = args;
      const { link } = core.hosts.route(call.self.ref);
      // Its host says so of a snapshot of another machine there; one of another host it does not know.
      if (snapshot !== undefined && link.mirror.references.toHost(snapshot) === undefined)
        throw fault('NotFound', {}, 'The machine has no such snapshot.');
      return (await forwarding.call(call, args as unknown as Arguments)) as never;
    },
    AcquireTicket: async (call, args) => {
      const privilege = ticketPrivilege(args.ticketType);
      requirePrivilege(scope, call, call.self.ref, privilege);
      const ticket = (await forwarding.call(call, args as unknown as Arguments)) as VirtualMachineTicket;
      return ticketAt(
        core.inventory.get('HostSystem', { value: core.inventory.get('VirtualMachine', call.self.ref).host }),
        ticket,
      );
    },
  });
}

/** The folder that a machine is in; that of its datacenter for one of a vApp. */
function homeOf({ inventory }: CenterCore, ref: ManagedObjectReference): ManagedObjectReference<'Folder'> {
  const machine = inventory.get('VirtualMachine', ref);
  const folder = machine.parent ?? inventory.above(machine.host, ['Datacenter'])?.vmFolder;
  return { _typeName: 'ManagedObjectReference', type: 'Folder', value: folder ?? '' };
}

/** Throws DuplicateName where the machine's folder has another one of that name, on whatever host. */
async function mustBeFree(core: CenterCore, ref: ManagedObjectReference, name: string): Promise<void> {
  const document = core.inventory.get('VirtualMachine', ref);
  if (document.name !== name) await core.inventory.edit((edit) => requireFreeName(edit, { ...document, name }));
}

/** Consoles of another host are opened there; those of the local one are the center's own. */
function ticketAt({ address }: HostDocument, ticket: VirtualMachineTicket): VirtualMachineTicket {
  if (address.local) return ticket;
  const { host = address.host, port = address.port, sslThumbprint, url } = ticket;
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    ...ticket,
    host,
    port,
    sslThumbprint: sslThumbprint === undefined || sslThumbprint === '' ? address.thumbprint : sslThumbprint,
    ...(url === undefined ? {} : { url: url.replace('://*', `://${name}:${port}`) }),
  };
}
