import type { Draft, ManagedObjectClass, MethodTable } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { references } from '../inventory/references.ts';
import { aliasMethods } from './alias-methods.ts';
import { fileMethods } from './file-methods.ts';
import { GuestAccess } from './guest-access.ts';
import { GuestTransfers } from './guest-transfers.ts';
import { processMethods } from './process-methods.ts';

/** GuestOperationsManager and its parts; the answer serves the files that they let be transferred. */
export function addGuestOperations(core: HostCore, draft: Draft, port: () => number): GuestTransfers {
  const access = new GuestAccess(core);
  const transfers = new GuestTransfers(access, port);
  const { guestOperations, guestAuth, guestFiles, guestProcesses, guestAliases } = references;
  const manager: ManagedObjectClass<'GuestOperationsManager'> = { type: 'GuestOperationsManager', methods: {} };
  draft.add(manager, guestOperations.value, {
    authManager: guestAuth,
    fileManager: guestFiles,
    processManager: guestProcesses,
    aliasManager: guestAliases,
  });
  draft.add({ type: 'GuestAuthManager', methods: authMethods(access) }, guestAuth.value, {});
  draft.add({ type: 'GuestFileManager', methods: fileMethods(access, transfers) }, guestFiles.value, {});
  draft.add({ type: 'GuestProcessManager', methods: processMethods(access) }, guestProcesses.value, {});
  draft.add({ type: 'GuestAliasManager', methods: aliasMethods(access) }, guestAliases.value, {});
  return transfers;
}

function authMethods(access: GuestAccess): MethodTable<'GuestAuthManager'> {
  return {
    ValidateCredentialsInGuest: async (call, { vm, auth }) => {
      const { machine, user } = access.of(call, vm, auth);
      await access.shell.run(machine, user, { operation: 'nothing' });
    },
    AcquireCredentialsInGuest: async (call, { vm, requestedAuth }) => {
      const { machine, user } = access.of(call, vm, requestedAuth);
      return access.credentials.acquire(call, access.shell, machine, user);
    },
    ReleaseCredentialsInGuest: (call, { vm, auth }) => {
      const { machine } = access.of(call, vm, auth);
      access.credentials.release(call, machine, auth);
    },
  };
}
