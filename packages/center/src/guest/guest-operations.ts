import type {
  Call,
  DataTypes,
  ManagedObjectClass,
  ManagedObjectReference,
  ManagedTypeName,
  MethodTable,
} from '@hypostyle/vim';
import { fault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { HostLayout } from '../hosts/mirror/host-layout.ts';
import { hostUrl } from '../machines/host-url.ts';
import { services } from '../services.ts';

type Arguments = Readonly<Record<string, unknown>> & { readonly vm: ManagedObjectReference };

/** GuestOperationsManager and its parts: the host that has the machine does what is asked. `port`: the center's own. */
export function addGuestOperations(core: CenterCore, forwarding: Forwarding, port: () => number): void {
  const { guestOperations, guestAuth, guestFiles, guestProcesses, guestAliases } = services;
  core.registry.commit((draft) => {
    const manager: ManagedObjectClass<'GuestOperationsManager'> = { type: 'GuestOperationsManager', methods: {} };
    draft.add(manager, guestOperations.value, {
      authManager: guestAuth,
      fileManager: guestFiles,
      processManager: guestProcesses,
      aliasManager: guestAliases,
    });
    draft.add(partClass(core, forwarding, 'GuestAuthManager', 'authManager'), guestAuth.value, {});
    draft.add(partClass(core, forwarding, 'GuestProcessManager', 'processManager'), guestProcesses.value, {});
    draft.add(partClass(core, forwarding, 'GuestAliasManager', 'aliasManager'), guestAliases.value, {});
    const files = partClass(core, forwarding, 'GuestFileManager', 'fileManager');
    draft.add({ ...files, methods: withAddresses(core, files.methods, port) }, guestFiles.value, {});
  });
}

/** A part whose every method is done by the part of the machine's host. */
function partClass<T extends ManagedTypeName>(
  core: CenterCore,
  forwarding: Forwarding,
  type: T,
  part: keyof HostLayout['guestOperations'],
): ManagedObjectClass<T> {
  const methods: Record<string, (call: Call, args: Arguments) => Promise<unknown>> = {};
  for (const [name] of core.schema.managed(type)?.methods ?? []) {
    methods[name] = async (call, args) => {
      const { link } = core.hosts.route(args.vm);
      const ref = link.layout.guestOperations[part];
      if (ref === undefined) throw fault('NotSupported', {}, 'The host of the machine does nothing in guests.');
      return forwarding.call(call, args, { link, ref });
    };
  }
  return { type, methods: forwarding.passing(methods) as MethodTable<T> };
}

/** Addresses of transfers that work from where the center's clients are. */
function withAddresses(
  core: CenterCore,
  methods: MethodTable<'GuestFileManager'>,
  port: () => number,
): MethodTable<'GuestFileManager'> {
  const { InitiateFileTransferFromGuest: from, InitiateFileTransferToGuest: to } = methods;
  const at = (url: string, vm: ManagedObjectReference) => hostUrl(core, vm, url, port());
  return {
    ...methods,
    InitiateFileTransferFromGuest: async (call, args) => {
      const information = (await from?.(call, args)) as DataTypes['FileTransferInformation'];
      return { ...information, url: at(information.url, args.vm) };
    },
    InitiateFileTransferToGuest: async (call, args) => at((await to?.(call, args)) as string, args.vm),
  };
}
