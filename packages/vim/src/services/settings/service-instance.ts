import type { DataTypes } from '../../generated/types.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, dateTime, systemClock } from '../clock.ts';

export interface ServiceInstanceOptions {
  readonly registry: Registry;
  /** What this server has; managers that it has not are left out. */
  readonly content: DataTypes['ServiceContent'];
  readonly capability: DataTypes['Capability'];
  readonly productComponents?: readonly DataTypes['ProductComponentInfo'][];
  readonly clock?: Clock;
}

/** Adds the ServiceInstance, where every client begins; `content` is for everybody, before sign-in too. */
export function addServiceInstance(options: ServiceInstanceOptions): ManagedObjectReference<'ServiceInstance'> {
  const { registry, content, capability, productComponents = [], clock = systemClock } = options;
  const instanceClass: ManagedObjectClass<'ServiceInstance'> = {
    type: 'ServiceInstance',
    perSession: { serverClock: () => dateTime(clock) },
    methods: {
      CurrentTime: () => dateTime(clock),
      RetrieveServiceContent: (call) => (registry.get(call.self.ref)?.value('content') ?? content) as typeof content,
      RetrieveProductComponents: () => productComponents,
    },
  };
  return registry.commit((draft) => draft.add(instanceClass, 'ServiceInstance', { content, capability }));
}
