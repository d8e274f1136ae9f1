import { methodPrivileges } from '../../runtime/privileges.ts';
import type { Schema } from '../../schema/schema.ts';

/** Privileges that are checked where methods run, and that roles of real installations name. By group. */
const documented: Readonly<Record<string, string>> = {
  Alarm: 'Acknowledge Create Delete DisableActions Edit SetStatus ToggleEnableOnEntity',
  Authorization: 'ModifyPermissions ModifyPrivileges ModifyRoles ReassignRolePermissions',
  Cryptographer:
    'Access AddDisk Clone Decrypt Encrypt EncryptNew ManageEncryptionPolicy ManageKeys ManageKeyServers Migrate ReadKeyServersInfo Recrypt RegisterHost RegisterVM',
  Datacenter: 'Create Delete IpPoolConfig IpPoolQueryAllocations IpPoolReleaseIp Move Reconfigure Rename',
  Datastore:
    'AllocateSpace Browse Config Delete DeleteFile FileManagement Move Rename UpdateVirtualMachineFiles UpdateVirtualMachineMetadata',
  DVPortgroup: 'Create Delete IpfixOp Modify PolicyOp ScopeOp',
  DVSwitch: 'Create Delete HostOp Modify Move PolicyOp PortConfig PortSetting ResourceManagement Vspan',
  Extension: 'Register Unregister Update',
  Folder: 'Create Delete Move Rename',
  Global:
    'CancelTask CapacityPlanning Diagnostics DisableMethods EnableMethods GlobalTag Health Licenses LogEvent ManageCustomFields Proxy ScriptAction ServiceManagers SetCustomField Settings SystemTag VCServer',
  'Host.Inventory':
    'AddHostToCluster AddStandaloneHost CreateCluster DeleteCluster EditCluster ManageClusterLifecyle MoveCluster MoveHost RemoveHostFromCluster RenameCluster',
  'Host.Local': 'CreateVM DeleteVM InstallAgent ManageUserGroups ReconfigVM',
  'InventoryService.Tagging':
    'AttachTag CreateCategory CreateTag DeleteCategory DeleteTag EditCategory EditTag ModifyUsedByForCategory ModifyUsedByForTag ObjectAttachable',
  Network: 'Assign Config Delete Move',
  Performance: 'ModifyIntervals',
  Resource:
    'ApplyRecommendation AssignVAppToPool AssignVMToPool ColdMigrate CreatePool DeletePool EditPool HotMigrate MovePool QueryVMotion RenamePool',
  ScheduledTask: 'Create Delete Edit Run',
  Sessions: 'CollectPrivilegeChecks GlobalMessage ImpersonateUser TerminateSession ValidateSession',
  StoragePod: 'Config',
  StorageProfile: 'Apply Update View',
  System: 'Anonymous Read View',
  Task: 'Create Update',
  VApp: 'ApplicationConfig AssignResourcePool AssignVApp AssignVM Clone Create Delete Export ExtractOvfEnvironment Import InstanceConfig ManagedByConfig Move PowerOff PowerOn PullFromUrls Rename ResourceConfig Suspend Unregister',
  'VirtualMachine.Config':
    'AddExistingDisk AddNewDisk AddRemoveDevice AdvancedConfig Annotation ChangeTracking CPUCount DiskExtend DiskLease EditDevice HostUSBDevice ManagedBy Memory MksControl QueryFTCompatibility QueryUnownedFiles RawDevice ReloadFromPath RemoveDisk Rename ResetGuestInfo Resource Settings SwapPlacement ToggleForkParent UpgradeVirtualHardware',
  'VirtualMachine.GuestOperations': 'Execute Modify ModifyAliases Query QueryAliases',
  'VirtualMachine.Hbr': 'ConfigureReplication MonitorReplication ReplicaManagement',
  'VirtualMachine.Interact':
    'AnswerQuestion Backup ConsoleInteract CreateScreenshot CreateSecondary DefragmentAllDisks DeviceConnection DisableSecondary DnD EnableSecondary GuestControl MakePrimary Pause PowerOff PowerOn PutUsbScanCodes Record Replay Reset SESparseMaintenance SetCDMedia SetFloppyMedia Suspend TerminateFaultTolerantVM ToolsInstall TurnOffFaultTolerance',
  'VirtualMachine.Inventory': 'Create CreateFromExisting Delete Move Register Unregister',
  'VirtualMachine.Namespace': 'Event EventNotify Management ModifyContent Query ReadContent',
  'VirtualMachine.Provisioning':
    'Clone CloneTemplate CreateTemplateFromVM Customize DeployTemplate DiskRandomAccess DiskRandomRead FileRandomAccess GetVmFiles MarkAsTemplate MarkAsVM ModifyCustSpecs PromoteDisks PutVmFiles ReadCustSpecs',
  'VirtualMachine.State': 'CreateSnapshot RemoveSnapshot RenameSnapshot RevertToSnapshot',
};

/** Ids of all privileges, in order: those of methods and properties, and those that methods check as they run. */
export function privilegeIds(schema: Schema): string[] {
  const ids = new Set<string>();
  const add = (text: string | undefined) => {
    // A few methods need two.
    for (const id of text?.split(' ') ?? []) ids.add(id);
  };
  for (const name of schema.managedNames()) {
    const type = schema.managed(name);
    if (type === undefined) continue;
    for (const method of type.methods.values()) add(method.privilege);
    for (const property of type.properties) add(property.privilege);
  }
  for (const id of Object.values(methodPrivileges)) add(id);
  for (const [group, names] of Object.entries(documented))
    for (const name of names.split(' ')) ids.add(`${group}.${name}`);
  return [...ids].sort();
}

/** `VirtualMachine.Config` of `VirtualMachine.Config.Memory`. */
export function privilegeGroup(id: string): string {
  return id.slice(0, id.lastIndexOf('.'));
}
