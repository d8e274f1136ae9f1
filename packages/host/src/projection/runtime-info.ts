import type { GuestFacts, HypervisorCapabilities } from '@hypostyle/contracts';
import {
  data,
  type GuestInfo,
  type ManagedObjectReference,
  type VirtualMachineCapability,
  type VirtualMachineFileLayout,
  type VirtualMachineFileLayoutEx,
  type VirtualMachineRuntimeInfo,
  type VirtualMachineStorageInfo,
  type VirtualMachineSummary,
} from '@hypostyle/vim';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { questionInfo } from '../machine/settle/machine-question.ts';
import { nextMerge } from '../machine/snapshot/disk-forest.ts';
import { hardwareVersion, managedBy } from './config-info.ts';
import type { InventoryNames } from './inventory-names.ts';
import { diskLayouts, oldSnapshotLayouts, snapshotLayouts } from './snapshot-info.ts';

/** `VirtualMachine.runtime`. `hostMHz` is one processor's clock. */
export function runtimeInfo(machine: MachineRecord, names: InventoryNames, hostMHz: number): VirtualMachineRuntimeInfo {
  const on = machine.powerState === 'poweredOn';
  return data('VirtualMachineRuntimeInfo', {
    host: names.host,
    connectionState: machine.problem === undefined ? 'connected' : 'inaccessible',
    powerState: machine.powerState,
    faultToleranceState: 'notConfigured',
    toolsInstallerMounted: machine.toolsMounted === true,
    ...(machine.suspendTime === undefined ? {} : { suspendTime: machine.suspendTime }),
    ...(on && machine.bootTime !== undefined ? { bootTime: machine.bootTime } : {}),
    suspendInterval: 0,
    memoryOverhead: 0,
    maxCpuUsage: machine.configuration.cpus * hostMHz,
    maxMemoryUsage: machine.configuration.memoryMiB,
    numMksConnections: 0,
    recordReplayState: 'inactive',
    ...(on ? {} : { cleanPowerOff: machine.cleanPowerOff }),
    onlineStandby: false,
    consolidationNeeded: nextMerge(machine) !== undefined,
    ...(machine.question === undefined ? {} : { question: questionInfo(machine.question) }),
    paused: false,
    snapshotInBackground: false,
    quiescedForkParent: false,
    instantCloneFrozen: false,
    suspendedToMemory: false,
  });
}

function toolsRunning(machine: MachineRecord): boolean {
  return machine.powerState === 'poweredOn' && machine.agentConnected;
}

/** The address that clients wait for: the first IPv4 that is neither loopback nor link-local, else a global IPv6. */
export function primaryAddress(machine: MachineRecord): string | undefined {
  const all = (machine.guest?.interfaces ?? []).filter((nic) => nic.name !== 'lo').flatMap((nic) => nic.addresses);
  const v4 = all.find((a) => a.family === 'ipv4' && !a.address.startsWith('127.') && !a.address.startsWith('169.254.'));
  return (v4 ?? all.find((a) => a.family === 'ipv6' && !/^(fe80|::1$)/i.test(a.address)))?.address;
}

/** `VirtualMachine.guest`, from what the guest agent says. */
export function guestInfo(machine: MachineRecord, names: InventoryNames): GuestInfo {
  const running = toolsRunning(machine);
  const facts = running ? machine.guest : undefined;
  const known = machine.guest !== undefined;
  const address = running ? primaryAddress(machine) : undefined;
  return data('GuestInfo', {
    toolsStatus: running ? 'toolsOk' : known ? 'toolsNotRunning' : 'toolsNotInstalled',
    toolsVersionStatus: known ? 'guestToolsUnmanaged' : 'guestToolsNotInstalled',
    toolsVersionStatus2: known ? 'guestToolsUnmanaged' : 'guestToolsNotInstalled',
    toolsRunningStatus: running ? 'guestToolsRunning' : 'guestToolsNotRunning',
    ...(facts === undefined ? {} : { toolsVersion: facts.agentVersion }),
    toolsInstallType: known ? 'guestToolsTypeOpenVMTools' : 'guestToolsTypeUnknown',
    ...(facts === undefined
      ? {}
      : {
          guestId: machine.configuration.guestId,
          guestFamily: facts.osId === 'mswindows' ? 'windowsGuest' : 'linuxGuest',
          guestFullName: facts.osPrettyName ?? names.guestFullName(machine.configuration.guestId),
        }),
    ...(facts?.hostName === undefined ? {} : { hostName: facts.hostName }),
    ...(address === undefined ? {} : { ipAddress: address }),
    net: guestNics(machine),
    ...(facts === undefined ? {} : guestPlaces(facts)),
    guestState: machine.powerState === 'poweredOn' ? (running ? 'running' : 'unknown') : 'notRunning',
    appHeartbeatStatus: 'appStatusGray',
    guestKernelCrashed: false,
    appState: 'none',
    guestOperationsReady: running && facts?.osId !== 'mswindows',
    interactiveGuestOperationsReady: false,
    guestStateChangeSupported: running,
    hwVersion: hardwareVersion(machine),
  });
}

/** File systems, name servers and routes, where the guest tells of them. */
function guestPlaces({ fileSystems, resolver, routes, hostName, interfaces }: GuestFacts): Partial<GuestInfo> {
  const [host = '', ...domain] = (hostName ?? '').split('.');
  return {
    ...(fileSystems === undefined
      ? {}
      : {
          disk: fileSystems.map(({ mountPoint, type, totalBytes, usedBytes }) =>
            data('GuestDiskInfo', {
              diskPath: mountPoint,
              filesystemType: type,
              ...(totalBytes === undefined ? {} : { capacity: totalBytes }),
              ...(totalBytes === undefined || usedBytes === undefined
                ? {}
                : { freeSpace: Math.max(0, totalBytes - usedBytes) }),
            }),
          ),
        }),
    ...(resolver === undefined && routes === undefined
      ? {}
      : {
          ipStack: [
            data('GuestStackInfo', {
              ...(resolver === undefined
                ? {}
                : {
                    dnsConfig: data('NetDnsConfigInfo', {
                      dhcp: false,
                      hostName: host,
                      domainName: domain.join('.') || (resolver.searchDomains[0] ?? ''),
                      ipAddress: resolver.servers,
                      ...(resolver.searchDomains.length === 0 ? {} : { searchDomain: resolver.searchDomains }),
                    }),
                  }),
              ...(routes === undefined
                ? {}
                : {
                    ipRouteConfig: data('NetIpRouteConfigInfo', {
                      ipRoute: routes.map(({ network, prefixLength, gateway, device }) =>
                        data('NetIpRouteConfigInfoIpRoute', {
                          network,
                          prefixLength,
                          gateway: data('NetIpRouteConfigInfoGateway', {
                            ...(gateway === undefined ? {} : { ipAddress: gateway }),
                            // The place of the interface in the list of them.
                            device: String(
                              interfaces.filter(({ name }) => name !== 'lo').findIndex(({ name }) => name === device),
                            ),
                          }),
                        }),
                      ),
                    }),
                  }),
            }),
          ],
        }),
  };
}

function guestNics(machine: MachineRecord): GuestInfo['net'] {
  if (!toolsRunning(machine)) return [];
  return (machine.guest?.interfaces ?? [])
    .filter((nic) => nic.name !== 'lo')
    .map((nic) => {
      const device = machine.configuration.nics.find((known) => known.mac === nic.mac?.toLowerCase());
      return data('GuestNicInfo', {
        ...(device === undefined ? {} : { network: device.networkName }),
        ipAddress: nic.addresses.map((a) => a.address),
        ...(nic.mac === undefined ? {} : { macAddress: nic.mac }),
        connected: true,
        deviceConfigId: device?.key ?? -1,
        ipConfig: data('NetIpConfigInfo', {
          ipAddress: nic.addresses.map((a) =>
            data('NetIpConfigInfoIpAddress', {
              ipAddress: a.address,
              prefixLength: a.prefixLength,
              state: 'preferred',
            }),
          ),
        }),
      });
    });
}

/** `VirtualMachine.summary`. */
export function machineSummary(
  machine: MachineRecord,
  names: InventoryNames,
  runtime: VirtualMachineRuntimeInfo,
  guest: GuestInfo,
): VirtualMachineSummary {
  const { configuration: c, stats, files } = machine;
  const on = machine.powerState === 'poweredOn';
  return data('VirtualMachineSummary', {
    vm: machine.ref,
    runtime,
    guest: data('VirtualMachineGuestSummary', {
      ...(guest.guestId === undefined ? {} : { guestId: guest.guestId }),
      ...(guest.guestFullName === undefined ? {} : { guestFullName: guest.guestFullName }),
      toolsStatus: guest.toolsStatus,
      toolsVersionStatus: guest.toolsVersionStatus,
      toolsVersionStatus2: guest.toolsVersionStatus2,
      toolsRunningStatus: guest.toolsRunningStatus,
      ...(guest.hostName === undefined ? {} : { hostName: guest.hostName }),
      ...(guest.ipAddress === undefined ? {} : { ipAddress: guest.ipAddress }),
      hwVersion: hardwareVersion(machine),
    }),
    config: data('VirtualMachineConfigSummary', {
      name: c.name,
      template: c.template,
      vmPathName: machine.datastore.format(machine.vmxPath),
      memorySizeMB: c.memoryMiB,
      cpuReservation: c.cpuAllocation.reservation,
      memoryReservation: c.memoryAllocation.reservation,
      numCpu: c.cpus,
      numEthernetCards: c.nics.length,
      numVirtualDisks: c.disks.length,
      uuid: c.uuid,
      ...(c.instanceUuid === '' ? {} : { instanceUuid: c.instanceUuid }),
      guestId: c.guestId,
      guestFullName: names.guestFullName(c.guestId),
      annotation: c.annotation,
      ...managedBy(c),
      ...(machine.vApp?.product?.[0] === undefined ? {} : { product: machine.vApp.product[0] }),
      installBootRequired: machine.vApp?.installBootRequired ?? false,
      tpmPresent: false,
      numVmiopBackings: 0,
      hwVersion: hardwareVersion(machine),
    }),
    storage: data('VirtualMachineStorageSummary', {
      committed: files.committedBytes,
      uncommitted: files.uncommittedBytes,
      unshared: files.unsharedBytes,
      timestamp: files.at,
    }),
    quickStats: data('VirtualMachineQuickStats', {
      overallCpuUsage: on ? (stats?.cpuMHz ?? 0) : 0,
      overallCpuDemand: on ? (stats?.cpuMHz ?? 0) : 0,
      guestMemoryUsage: on ? (stats?.guestMemoryMiB ?? 0) : 0,
      hostMemoryUsage: on ? (stats?.hostMemoryMiB ?? 0) : 0,
      guestHeartbeatStatus: heartbeat(machine),
      balloonedMemory: on ? (stats?.balloonedMiB ?? 0) : 0,
      uptimeSeconds: on ? (stats?.uptimeSeconds ?? 0) : 0,
    }),
    overallStatus: machine.problem === undefined ? 'green' : 'red',
  });
}

export function heartbeat(machine: MachineRecord): 'green' | 'gray' {
  return toolsRunning(machine) ? 'green' : 'gray';
}

/** `VirtualMachine.layoutEx`: every file with its size, and the chain of each disk. */
export function fileLayout(machine: MachineRecord): VirtualMachineFileLayoutEx {
  const keys = new Map(machine.files.list.map((file, key) => [file.path, key]));
  return data('VirtualMachineFileLayoutEx', {
    file: machine.files.list.map((file, key) =>
      data('VirtualMachineFileLayoutExFileInfo', {
        key,
        name: machine.datastore.format(file.path),
        type: file.type,
        size: file.bytes,
        uniqueSize: file.shared === true ? 0 : file.bytes,
        accessible: true,
      }),
    ),
    disk: diskLayouts(machine.disks, keys),
    snapshot: snapshotLayouts(machine, keys),
    timestamp: machine.files.at,
  });
}

/** `VirtualMachine.layout`, the older form: what makes up the machine, by name. */
export function oldFileLayout(machine: MachineRecord): VirtualMachineFileLayout {
  const { files, disks, datastore } = machine;
  const names = (types: readonly string[]) =>
    files.list.filter(({ type }) => types.includes(type)).map(({ path }) => path.slice(path.lastIndexOf('/') + 1));
  return data('VirtualMachineFileLayout', {
    configFile: names(['config', 'extendedConfig', 'nvram']),
    logFile: names(['log']),
    disk: [...disks].map(([key, { chain }]) =>
      data('VirtualMachineFileLayoutDiskLayout', {
        key,
        diskFile: chain.toReversed().map(([descriptor = '']) => datastore.format(descriptor)),
      }),
    ),
    snapshot: oldSnapshotLayouts(machine),
  });
}

/** `VirtualMachine.storage` by the datastores that the machine is on; without those that were taken out of the host. */
export function storageInfo(
  { files, datastore: own }: MachineRecord,
  datastores: readonly ManagedObjectReference<'Datastore'>[],
): VirtualMachineStorageInfo {
  const members = ['committedBytes', 'uncommittedBytes', 'unsharedBytes'] as const;
  const others = [...(files.abroad?.values() ?? [])];
  const usage = (uuid: string) => {
    const [committed, uncommitted, unshared] = members.map((member) =>
      uuid === own.uuid
        ? others.reduce((left, other) => left - other[member], files[member])
        : (files.abroad?.get(uuid)?.[member] ?? 0),
    );
    return { committed: committed ?? 0, uncommitted: uncommitted ?? 0, unshared: unshared ?? 0 };
  };
  return data('VirtualMachineStorageInfo', {
    perDatastoreUsage: datastores.map((datastore) =>
      data('VirtualMachineUsageOnDatastore', { datastore, ...usage(datastore.value) }),
    ),
    timestamp: files.at,
  });
}

/** What machines here can do: the same for all. */
export function machineCapability({
  diskSnapshots,
  memorySnapshots,
  guestAgent,
  changedBlocks,
}: HypervisorCapabilities): VirtualMachineCapability {
  return data('VirtualMachineCapability', {
    snapshotOperationsSupported: diskSnapshots,
    multipleSnapshotsSupported: diskSnapshots,
    snapshotConfigSupported: diskSnapshots,
    poweredOffSnapshotsSupported: diskSnapshots,
    memorySnapshotsSupported: memorySnapshots,
    revertToSnapshotSupported: diskSnapshots,
    quiescedSnapshotsSupported: diskSnapshots && guestAgent,
    disableSnapshotsSupported: false,
    lockSnapshotsSupported: false,
    consolePreferencesSupported: false,
    cpuFeatureMaskSupported: false,
    s1AcpiManagementSupported: false,
    settingScreenResolutionSupported: false,
    toolsAutoUpdateSupported: false,
    vmNpivWwnSupported: false,
    npivWwnOnNonRdmVmSupported: false,
    vmNpivWwnDisableSupported: false,
    vmNpivWwnUpdateSupported: false,
    swapPlacementSupported: false,
    toolsSyncTimeSupported: false,
    virtualMmuUsageSupported: false,
    diskSharesSupported: false,
    bootOptionsSupported: true,
    bootRetryOptionsSupported: false,
    settingVideoRamSizeSupported: false,
    settingDisplayTopologySupported: false,
    recordReplaySupported: false,
    changeTrackingSupported: changedBlocks,
    multipleCoresPerSocketSupported: true,
    hostBasedReplicationSupported: false,
    guestAutoLockSupported: false,
    memoryReservationLockSupported: false,
    featureRequirementSupported: false,
    poweredOnMonitorTypeChangeSupported: false,
    seSparseDiskSupported: false,
    nestedHVSupported: false,
    vPMCSupported: false,
    secureBootSupported: false,
    perVmEvcSupported: false,
    diskOnlySnapshotOnSuspendedVMSupported: false,
  });
}
