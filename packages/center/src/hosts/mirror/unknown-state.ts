import { data, type Schema } from '@hypostyle/vim';
import type { EntityDocument } from '../../inventory/entity-document.ts';

/** What an entity of a host shows that must show something, before the host ever said it or after that was lost. */
export function unknownState(schema: Schema, document: EntityDocument): Readonly<Record<string, unknown>> {
  const { name } = document;
  switch (document.type) {
    case 'HostSystem':
      return {
        runtime: data('HostRuntimeInfo', {
          connectionState: 'notResponding',
          powerState: 'poweredOn',
          inMaintenanceMode: false,
        }),
        summary: data('HostListSummary', {
          config: data('HostConfigSummary', { name, port: 443, vmotionEnabled: false, faultToleranceEnabled: false }),
          quickStats: data('HostListSummaryQuickStats', {}),
          overallStatus: 'gray',
          rebootRequired: false,
        }),
        licensableResource: data('HostLicensableResourceInfo', { resource: [] }),
        configManager: data('HostConfigManager', {}),
      };
    case 'VirtualMachine': {
      const runtime = data('VirtualMachineRuntimeInfo', {
        host: { _typeName: 'ManagedObjectReference', type: 'HostSystem', value: document.host },
        connectionState: 'disconnected',
        powerState: 'poweredOff',
        faultToleranceState: 'notConfigured',
        toolsInstallerMounted: false,
        numMksConnections: 0,
        recordReplayState: 'inactive',
        onlineStandby: false,
        consolidationNeeded: false,
      });
      return {
        runtime,
        summary: data('VirtualMachineSummary', {
          vm: { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: document.value },
          runtime,
          config: data('VirtualMachineConfigSummary', { name, template: false, vmPathName: '' }),
          quickStats: data('VirtualMachineQuickStats', { guestHeartbeatStatus: 'gray' }),
          overallStatus: 'gray',
        }),
        capability: nothing(schema, 'VirtualMachineCapability'),
        guestHeartbeatStatus: 'gray',
      };
    }
    case 'Datastore': {
      const { identity: url } = document;
      return {
        summary: data('DatastoreSummary', { name, url, capacity: 0, freeSpace: 0, accessible: false, type: 'OTHER' }),
        info: data('DatastoreInfo', { name, url, freeSpace: 0, maxFileSize: 0, maxMemoryFileSize: 0 }),
        capability: nothing(schema, 'DatastoreCapability'),
      };
    }
    case 'Network':
      return { summary: data('NetworkSummary', { name, accessible: false, ipPoolName: '' }) };
    default:
      return {};
  }
}

/** A capability of nothing: every flag that must be there is false. */
function nothing(schema: Schema, type: 'VirtualMachineCapability' | 'DatastoreCapability') {
  const required = schema.data(type)?.properties.filter((property) => !property.optional && !property.type.array) ?? [];
  return { _typeName: type, ...Object.fromEntries(required.map(({ name }) => [name, false])) };
}
