import type { Method } from '../schema/schema.ts';

/** Needs no session at all. */
export const anonymousPrivilege = 'System.Anonymous';

/**
 * Privileges of the methods for which the schema names none, from the method reference of the vSphere API. A method
 * that is in neither is denied.
 *
 * The privilege is held on the object that is called; a manager counts as the root folder. What is needed on
 * arguments is in `argumentPrivileges`; where it depends on what a specification asks for, the method checks it as it
 * runs: reconfigure, clone, migrate, destroy, rename, move, tickets, files by path. These have System.View here.
 */
export const methodPrivileges: Readonly<Record<string, string>> = {
  // Alarms: on the entity of the alarm.
  CreateAlarm: 'System.View',
  AreAlarmActionsEnabled: 'System.View',
  EnableAlarmActions: 'System.View',
  GetAlarmState: 'System.View',
  AcknowledgeAlarm: 'System.View',
  DisableAlarm: 'System.View',
  EnableAlarm: 'System.View',

  // Permissions: Authorization.ModifyPermissions, System.Read on the entity.
  RetrieveEntityPermissions: 'System.View',
  SetEntityPermissions: 'System.View',
  ResetEntityPermissions: 'System.View',
  RemoveEntityPermission: 'System.View',
  HasUserPrivilegeOnEntities: 'System.View',
  FetchUserPrivilegeOnEntities: 'System.View',
  RetrieveUserGroups: 'System.View',

  // Clusters.
  ConfigureHCI_Task: 'Host.Inventory.EditCluster',
  ExtendHCI_Task: 'Host.Inventory.EditCluster',
  ApplyRecommendation: 'System.View',
  BatchAddHostsToCluster_Task: 'Host.Inventory.AddHostToCluster',

  // Container volumes.
  CnsCreateVolume: 'Cns.Searchable',
  CnsUpdateVolumeMetadata: 'Cns.Searchable',
  CnsDeleteVolume: 'Cns.Searchable',
  CnsAttachVolume: 'Cns.Searchable',
  CnsDetachVolume: 'Cns.Searchable',
  CnsConfigureVolumeACLs: 'Cns.Searchable',
  CnsExtendVolume: 'Cns.Searchable',
  CnsCreateSnapshots: 'Cns.Searchable',
  CnsDeleteSnapshots: 'Cns.Searchable',
  CnsRelocateVolume: 'Cns.Searchable',
  CnsReconfigVolumePolicy: 'Cns.Searchable',

  // Custom fields: Global.SetCustomField on the entity.
  SetField: 'System.View',
  setCustomValue: 'Global.SetCustomField',

  // Files: Datastore.FileManagement on the datastores that the paths name.
  CreateDirectory: 'System.View',
  DeleteDirectory: 'System.View',
  IncreaseDirectorySize: 'System.View',
  MoveDatastoreFile_Task: 'System.View',
  CopyDatastoreFile_Task: 'System.View',
  DeleteDatastoreFile_Task: 'System.View',
  MakeDirectory: 'System.View',
  ChangeOwner: 'System.View',
  // Datastore.Browse on the datastore.
  SearchDatastore_Task: 'System.View',
  SearchDatastoreSubFolders_Task: 'System.View',

  // Distributed switches.
  ReconfigureDVPortgroup_Task: 'DVPortgroup.Modify',
  DVPortgroupRollback_Task: 'DVPortgroup.Modify',
  ReconfigureDvs_Task: 'DVSwitch.Modify',
  DVSRollback_Task: 'DVSwitch.Modify',
  DVSManagerExportEntity_Task: 'System.View',
  DVSManagerImportEntity_Task: 'System.View',

  // Collectors, filters and views belong to their session.
  ReadNextEvents: 'System.View',
  ReadPreviousEvents: 'System.View',
  ReadNextTasks: 'System.View',
  ReadPreviousTasks: 'System.View',
  SetCollectorPageSize: 'System.View',
  RewindCollector: 'System.View',
  ResetCollector: 'System.View',
  DestroyCollector: 'System.View',
  DestroyPropertyFilter: 'System.View',
  OpenInventoryViewFolder: 'System.View',
  CloseInventoryViewFolder: 'System.View',
  ModifyListView: 'System.View',
  ResetListView: 'System.View',
  ResetListViewFromView: 'System.View',

  // Global.LogEvent on the entity.
  LogUserEvent: 'System.View',
  // Whoever began the task, or Global.CancelTask.
  CancelTask: 'System.View',
  UpdateOptions: 'Global.Settings',

  // Moving, renaming and destroying need what the kind of entity asks for, on it and on its parents.
  MoveIntoFolder_Task: 'System.View',
  Rename_Task: 'System.View',
  Destroy_Task: 'System.View',

  // Guest operations: VirtualMachine.GuestOperations.* on the machine.
  AddGuestAlias: 'System.View',
  RemoveGuestAlias: 'System.View',
  RemoveGuestAliasByCert: 'System.View',
  ListGuestAliases: 'System.View',
  ListGuestMappedAliases: 'System.View',
  ValidateCredentialsInGuest: 'System.View',
  AcquireCredentialsInGuest: 'System.View',
  ReleaseCredentialsInGuest: 'System.View',
  MakeDirectoryInGuest: 'System.View',
  DeleteFileInGuest: 'System.View',
  DeleteDirectoryInGuest: 'System.View',
  MoveDirectoryInGuest: 'System.View',
  MoveFileInGuest: 'System.View',
  CreateTemporaryFileInGuest: 'System.View',
  CreateTemporaryDirectoryInGuest: 'System.View',
  ListFilesInGuest: 'System.View',
  ChangeFileAttributesInGuest: 'System.View',
  InitiateFileTransferFromGuest: 'System.View',
  InitiateFileTransferToGuest: 'System.View',
  StartProgramInGuest: 'System.View',
  ListProcessesInGuest: 'System.View',
  TerminateProcessInGuest: 'System.View',
  ReadEnvironmentVariableInGuest: 'System.View',
  CreateRegistryKeyInGuest: 'System.View',
  ListRegistryKeysInGuest: 'System.View',
  DeleteRegistryKeyInGuest: 'System.View',
  SetRegistryValueInGuest: 'System.View',
  ListRegistryValuesInGuest: 'System.View',
  DeleteRegistryValueInGuest: 'System.View',

  // Hosts.
  UpdateNetworkConfig: 'Host.Config.Network',
  AddVirtualNic: 'Host.Config.Network',
  UpdateVirtualNic: 'Host.Config.Network',
  AddServiceConsoleVirtualNic: 'Host.Config.Network',
  UpdateServiceConsoleVirtualNic: 'Host.Config.Network',
  ApplyHostConfig_Task: 'System.View',
  ApplyEntitiesConfig_Task: 'System.View',
  RetrieveAnswerFile: 'System.View',
  RetrieveAnswerFileForProfile: 'System.View',
  RetrieveHostCustomizations: 'System.View',
  RetrieveHostCustomizationsForProfile: 'System.View',
  InstallIoFilter_Task: 'System.View',
  UninstallIoFilter_Task: 'System.View',
  UpgradeIoFilter_Task: 'System.View',
  ResolveInstallationErrorsOnHost_Task: 'System.View',
  ResolveInstallationErrorsOnCluster_Task: 'System.View',
  ConfigureDatastoreIORM_Task: 'System.View',
  ConfigureStorageDrsForPod_Task: 'System.View',

  // A lease is its session's own.
  HttpNfcLeaseGetManifest: 'System.View',
  HttpNfcLeaseSetManifestChecksumType: 'System.View',
  HttpNfcLeaseComplete: 'System.View',
  HttpNfcLeaseAbort: 'System.View',
  HttpNfcLeaseProgress: 'System.View',
  HttpNfcLeasePullFromUrls_Task: 'System.View',
  HttpNfcLeaseProbeUrls: 'System.View',

  // Address pools: Datacenter.IpPoolConfig, Datacenter.IpPoolQueryAllocations, Datacenter.IpPoolReleaseIp on the datacenter.
  QueryIpPools: 'System.View',
  CreateIpPool: 'System.View',
  UpdateIpPool: 'System.View',
  DestroyIpPool: 'System.View',
  AllocateIpv4Address: 'System.View',
  AllocateIpv6Address: 'System.View',
  ReleaseIpAllocation: 'System.View',
  QueryIPAllocations: 'System.View',

  // Resource pools and vApps.
  UpdateConfig: 'Resource.EditPool',
  MoveIntoResourcePool: 'System.View',
  UpdateChildResourceConfiguration: 'System.View',
  DestroyChildren: 'Resource.DeletePool',
  UpdateVAppConfig: 'System.View',
  UpdateLinkedChildren: 'VApp.AssignVApp',

  // ScheduledTask.Create on the entity.
  CreateScheduledTask: 'System.View',
  CreateObjectScheduledTask: 'System.View',

  // Virtual machines: a reconfiguration needs a privilege for each kind of change.
  ReconfigVM_Task: 'System.View',
  MigrateVM_Task: 'System.View',
  CloneVM_Task: 'System.View',
  // VirtualMachine.Interact.ConsoleInteract for a console, VirtualMachine.Interact.GuestControl for guest control,
  // VirtualMachine.Provisioning.DiskRandomRead or DiskRandomAccess for a disk over NBD.
  AcquireTicket: 'System.View',
};

/** What the dispatcher asks for on the object of a call; undefined for what is denied to everybody. */
export function privilegeOf({ name, privilege }: Pick<Method, 'name' | 'privilege'>): string | undefined {
  return privilege ?? methodPrivileges[name];
}

/** True for a method that leaves it to its implementation to find out which privileges its arguments need. */
export function checksAsItRuns(method: Pick<Method, 'name' | 'privilege'>): boolean {
  return (
    method.privilege === undefined &&
    methodPrivileges[method.name] === 'System.View' &&
    !(method.name in argumentPrivileges)
  );
}

/** Privileges on what a method's arguments name, checked before it runs: one reference or several. */
export const argumentPrivileges: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  CreateAlarm: { entity: 'Alarm.Create' },
  AreAlarmActionsEnabled: { entity: 'System.Read' },
  EnableAlarmActions: { entity: 'Alarm.DisableActions' },
  GetAlarmState: { entity: 'System.Read' },
  AcknowledgeAlarm: { entity: 'Alarm.Acknowledge' },
  DisableAlarm: { entity: 'Alarm.ToggleEnableOnEntity' },
  EnableAlarm: { entity: 'Alarm.ToggleEnableOnEntity' },
  RetrieveEntityPermissions: { entity: 'System.Read' },
  SetEntityPermissions: { entity: 'Authorization.ModifyPermissions' },
  ResetEntityPermissions: { entity: 'Authorization.ModifyPermissions' },
  RemoveEntityPermission: { entity: 'Authorization.ModifyPermissions' },
  HasPrivilegeOnEntity: { entity: 'System.View' },
  HasPrivilegeOnEntities: { entity: 'System.View' },
  HasUserPrivilegeOnEntities: { entities: 'System.View' },
  FetchUserPrivilegeOnEntities: { entities: 'System.View' },
  SetField: { entity: 'Global.SetCustomField' },
  LogUserEvent: { entity: 'Global.LogEvent' },
  CreateDirectory: { datastore: 'Datastore.Config' },
  DeleteDirectory: { datacenter: 'Datastore.Config' },
  IncreaseDirectorySize: { datacenter: 'Datastore.Config' },
  ...Object.fromEntries(
    [
      ['ModifyAliases', 'AddGuestAlias RemoveGuestAlias RemoveGuestAliasByCert'],
      ['QueryAliases', 'ListGuestAliases ListGuestMappedAliases'],
      [
        'Query',
        'ValidateCredentialsInGuest AcquireCredentialsInGuest ReleaseCredentialsInGuest ListFilesInGuest InitiateFileTransferFromGuest ListProcessesInGuest ReadEnvironmentVariableInGuest ListRegistryKeysInGuest ListRegistryValuesInGuest',
      ],
      ['Execute', 'StartProgramInGuest TerminateProcessInGuest'],
      [
        'Modify',
        'MakeDirectoryInGuest DeleteFileInGuest DeleteDirectoryInGuest MoveDirectoryInGuest MoveFileInGuest CreateTemporaryFileInGuest CreateTemporaryDirectoryInGuest ChangeFileAttributesInGuest InitiateFileTransferToGuest CreateRegistryKeyInGuest DeleteRegistryKeyInGuest SetRegistryValueInGuest DeleteRegistryValueInGuest',
      ],
    ].flatMap(([privilege, methods]) =>
      (methods as string)
        .split(' ')
        .map((method) => [method, { vm: `VirtualMachine.GuestOperations.${privilege}` }] as const),
    ),
  ),
  ApplyHostConfig_Task: { host: 'Host.Config.Settings' },
  RetrieveAnswerFile: { host: 'Host.Config.Settings' },
  RetrieveAnswerFileForProfile: { host: 'Host.Config.Settings' },
  RetrieveHostCustomizations: { hosts: 'Host.Config.Settings' },
  RetrieveHostCustomizationsForProfile: { hosts: 'Host.Config.Settings' },
  InstallIoFilter_Task: { compRes: 'Host.Config.Patch' },
  UninstallIoFilter_Task: { compRes: 'Host.Config.Patch' },
  UpgradeIoFilter_Task: { compRes: 'Host.Config.Patch' },
  ResolveInstallationErrorsOnHost_Task: { host: 'Host.Config.Patch' },
  ResolveInstallationErrorsOnCluster_Task: { cluster: 'Host.Config.Patch' },
  ConfigureDatastoreIORM_Task: { datastore: 'Datastore.Config' },
  ConfigureStorageDrsForPod_Task: { pod: 'StoragePod.Config' },
  QueryIpPools: { dc: 'System.View' },
  CreateIpPool: { dc: 'Datacenter.IpPoolConfig' },
  UpdateIpPool: { dc: 'Datacenter.IpPoolConfig' },
  DestroyIpPool: { dc: 'Datacenter.IpPoolConfig' },
  AllocateIpv4Address: { dc: 'Datacenter.IpPoolConfig' },
  AllocateIpv6Address: { dc: 'Datacenter.IpPoolConfig' },
  ReleaseIpAllocation: { dc: 'Datacenter.IpPoolReleaseIp' },
  QueryIPAllocations: { dc: 'Datacenter.IpPoolQueryAllocations' },
  CreateScheduledTask: { entity: 'ScheduledTask.Create' },
  CreateObjectScheduledTask: { obj: 'ScheduledTask.Create' },
};

/**
 * Methods with no privilege anywhere, denied to everybody: the reference names none for them, and nobody implements
 * them here.
 */
export const deniedMethods: ReadonlySet<string> = new Set([
  'VsanVcReplaceWitnessHostForClusters',
  'VsanVcAddWitnessHostForClusters',
  'VsanClusterReconfig',
  'VsanEncryptedClusterRekey_Task',
  'VsanQueryVcClusterHealthSummary',
  'VsanVdsMigrateVss',
  'VsanVssMigrateVds',
]);
