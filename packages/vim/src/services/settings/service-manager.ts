import type { DataTypes } from '../../generated/types.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';

export interface ServiceManagerOptions {
  readonly registry: Registry;
  readonly services: readonly DataTypes['ServiceManagerServiceInfo'][];
  readonly referenceValue?: string;
}

/** Adds the ServiceManager: services that are beside those of ServiceContent. */
export function addServiceManager(options: ServiceManagerOptions): ManagedObjectReference<'ServiceManager'> {
  const { registry, services, referenceValue = 'ServiceManager' } = options;
  const managerClass: ManagedObjectClass<'ServiceManager'> = {
    type: 'ServiceManager',
    methods: {
      QueryServiceList: (_call, { serviceName, location }) =>
        services.filter(
          (service) =>
            (serviceName === undefined || service.serviceName === serviceName) &&
            (location ?? []).every((place) => service.location?.includes(place)),
        ),
    },
  };
  return registry.commit((draft) => draft.add(managerClass, referenceValue, { service: services }));
}
