import {
  createImportSpec,
  descriptorMethods,
  importSpecOn,
  type NamedNetwork,
  validateOvfForHost,
} from '@hypostyle/services';
import { fault, type ManagedObjectClass, type ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type HostDocument, referenceOf } from '../inventory/entity-document.ts';
import { poolOf } from '../machines/machine-place.ts';
import { poolAt } from '../pools/pool-tree.ts';
import { describedVApp } from '../vapps/described-vapp.ts';
import { whyNoRules } from '../vapps/import-rules.ts';

/** OvfManager: descriptors of a package made into what ImportVApp takes, with the center's own references. */
export function ovfManagerClass(core: CenterCore): ManagedObjectClass<'OvfManager'> {
  return {
    type: 'OvfManager',
    methods: {
      ...descriptorMethods({
        registry: core.registry,
        authorizer: core.authorizer,
        describeVApp: (ref) => describedVApp(core, poolAt(core.inventory, ref.value)),
      }),
      ValidateHost: (_, { ovfDescriptor, host, vhp }) =>
        validateOvfForHost(ovfDescriptor, vhp, networksOf(core, [core.inventory.get('HostSystem', host)])),
      CreateImportSpec: async (call, { ovfDescriptor, resourcePool, datastore, cisp }) => {
        const { name, value } = core.inventory.get('Datastore', datastore);
        const hosts = hostsFor(core, resourcePool, cisp.hostSystem).filter((host) =>
          core.hosts.shared.hostsOf(value).includes(host.value),
        );
        if (hosts.length === 0)
          throw fault(
            'InvalidDatastore',
            { name, datastore },
            `No host that could take it has the datastore '${name}'.`,
          );
        const networks = networksOf(core, hosts);
        const noRules = whyNoRules(core, call, poolOf(core, resourcePool).owner);
        const request = { descriptor: ovfDescriptor, parameters: cisp, networks, vApps: true, noRules };
        return importSpecOn(name, await createImportSpec(request));
      },
    },
  };
}

/** Hosts of the pool's compute resource; the one that was asked for. Throws InvalidArgument for one of another's. */
function hostsFor(
  { inventory }: CenterCore,
  pool: ManagedObjectReference,
  asked: ManagedObjectReference | undefined,
): HostDocument[] {
  const { owner: compute, name } = poolOf({ inventory }, pool);
  const hosts = inventory.children(compute).filter((child): child is HostDocument => child.type === 'HostSystem');
  if (asked === undefined) return hosts;
  const host = hosts.find(({ value }) => value === asked.value);
  if (host !== undefined) return [host];
  throw fault(
    'InvalidArgument',
    { invalidProperty: 'cisp.hostSystem' },
    `The host is not one of those that the pool '${name}' divides.`,
  );
}

/** Networks of any of the hosts, each once. */
function networksOf({ registry }: CenterCore, hosts: readonly HostDocument[]): NamedNetwork[] {
  const all = new Map<string, NamedNetwork>();
  for (const host of hosts) {
    const refs = (registry.get(referenceOf(host))?.value('network') ?? []) as ManagedObjectReference<'Network'>[];
    for (const ref of refs) all.set(ref.value, { ref, name: (registry.get(ref)?.value('name') as string) ?? '' });
  }
  return [...all.values()];
}
