import type { PrivilegeScope } from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';

/** The host as checks of privileges on arguments see it: every name means the same everywhere in it. */
export function privilegeScope({ registry, authorizer, datastores, networks }: HostCore): PrivilegeScope {
  return {
    registry,
    authorizer,
    datastore: (name) => {
      const found = datastores.find(name) ?? datastores.byUuid(name);
      if (found === undefined) throw fault('InvalidDatastore', { name }, `There is no datastore '${name}' here.`);
      return found.ref;
    },
    network: (name) => networks.find(name)?.ref,
  };
}
