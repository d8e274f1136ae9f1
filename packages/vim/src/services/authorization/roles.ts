/** A set of privileges with a name. */
export interface Role {
  readonly id: number;
  readonly name: string;
  readonly privileges: readonly string[];
}

export const adminRole = -1;

/** Roles that say what somebody may see who was granted nothing: they are granted to nobody. */
export const ungrantedRoles: ReadonlySet<number> = new Set([-3, -4]);

const always = ['System.Anonymous', 'System.Read', 'System.View'];
const trusted = /^(TrustedAdmin|Host\.Tpm)\./;

/** The roles that every installation has, by their well-known ids. */
export function systemRoles(allPrivileges: readonly string[]): Role[] {
  const without = (pattern: RegExp) => allPrivileges.filter((id) => !pattern.test(id));
  return [
    { id: -8, name: 'NoTrustedAdmin', privileges: without(trusted) },
    { id: -7, name: 'TrustedAdmin', privileges: allPrivileges.filter((id) => trusted.test(id) || always.includes(id)) },
    { id: -6, name: 'NoCryptoAdmin', privileges: without(/^Cryptographer\./) },
    { id: -5, name: 'NoAccess', privileges: [] },
    { id: -4, name: 'Anonymous', privileges: ['System.Anonymous'] },
    { id: -3, name: 'View', privileges: ['System.Anonymous', 'System.View'] },
    { id: -2, name: 'ReadOnly', privileges: always },
    { id: adminRole, name: 'Admin', privileges: allPrivileges },
  ];
}

export function isSystemRole(id: number): boolean {
  return id < 0;
}

const schedules = 'ScheduledTask.Create ScheduledTask.Delete ScheduledTask.Edit ScheduledTask.Run';
const interaction =
  'VirtualMachine.Interact.AnswerQuestion VirtualMachine.Interact.ConsoleInteract VirtualMachine.Interact.DeviceConnection VirtualMachine.Interact.PowerOff VirtualMachine.Interact.PowerOn VirtualMachine.Interact.Reset VirtualMachine.Interact.SetCDMedia VirtualMachine.Interact.SetFloppyMedia VirtualMachine.Interact.Suspend VirtualMachine.Interact.ToolsInstall';
const snapshots =
  'VirtualMachine.State.CreateSnapshot VirtualMachine.State.RemoveSnapshot VirtualMachine.State.RenameSnapshot VirtualMachine.State.RevertToSnapshot';
const configuring =
  'VirtualMachine.Config.AddExistingDisk VirtualMachine.Config.AddNewDisk VirtualMachine.Config.AddRemoveDevice VirtualMachine.Config.AdvancedConfig VirtualMachine.Config.CPUCount VirtualMachine.Config.DiskLease VirtualMachine.Config.EditDevice VirtualMachine.Config.Memory VirtualMachine.Config.RemoveDisk VirtualMachine.Config.Rename VirtualMachine.Config.ResetGuestInfo VirtualMachine.Config.Resource VirtualMachine.Config.Settings VirtualMachine.Config.UpgradeVirtualHardware';

/** Roles that a new center has beside those of the system, for its users to change; privileges of each in one text. */
const sampleRoles: readonly (readonly [name: string, privileges: string])[] = [
  [
    'VirtualMachinePowerUser',
    `Datastore.Browse Global.CancelTask ${schedules} ${configuring} ${interaction} ${snapshots}`,
  ],
  ['VirtualMachineUser', `Global.CancelTask ${schedules} ${interaction}`],
  [
    'ResourcePoolAdministrator',
    `Alarm.Create Alarm.Delete Alarm.Edit Authorization.ModifyPermissions Datastore.Browse Folder.Create Folder.Delete Folder.Move Folder.Rename Global.CancelTask Global.LogEvent Global.SetCustomField Resource.AssignVAppToPool Resource.AssignVMToPool Resource.ColdMigrate Resource.CreatePool Resource.DeletePool Resource.EditPool Resource.HotMigrate Resource.MovePool Resource.QueryVMotion Resource.RenamePool ${schedules} ${configuring} VirtualMachine.Config.DiskExtend VirtualMachine.Config.HostUSBDevice VirtualMachine.Config.RawDevice VirtualMachine.Config.SwapPlacement ${interaction} VirtualMachine.Inventory.Create VirtualMachine.Inventory.Delete VirtualMachine.Inventory.Move VirtualMachine.Provisioning.Clone VirtualMachine.Provisioning.CloneTemplate VirtualMachine.Provisioning.CreateTemplateFromVM VirtualMachine.Provisioning.Customize VirtualMachine.Provisioning.DeployTemplate VirtualMachine.Provisioning.DiskRandomAccess VirtualMachine.Provisioning.DiskRandomRead VirtualMachine.Provisioning.GetVmFiles VirtualMachine.Provisioning.MarkAsTemplate VirtualMachine.Provisioning.MarkAsVM VirtualMachine.Provisioning.ModifyCustSpecs VirtualMachine.Provisioning.PutVmFiles VirtualMachine.Provisioning.ReadCustSpecs ${snapshots}`,
  ],
  [
    'VMwareConsolidatedBackupUser',
    'VirtualMachine.Config.DiskLease VirtualMachine.Provisioning.DiskRandomRead VirtualMachine.Provisioning.GetVmFiles VirtualMachine.State.CreateSnapshot VirtualMachine.State.RemoveSnapshot',
  ],
  ['DatastoreConsumer', 'Datastore.AllocateSpace'],
  ['NetworkConsumer', 'Network.Assign'],
  [
    'VirtualMachineConsoleUser',
    'VirtualMachine.Interact.ConsoleInteract VirtualMachine.Interact.DeviceConnection VirtualMachine.Interact.PowerOff VirtualMachine.Interact.PowerOn VirtualMachine.Interact.Reset VirtualMachine.Interact.Suspend',
  ],
  [
    'InventoryService.Tagging.TaggingAdmin',
    'InventoryService.Tagging.AttachTag InventoryService.Tagging.CreateCategory InventoryService.Tagging.CreateTag InventoryService.Tagging.DeleteCategory InventoryService.Tagging.DeleteTag InventoryService.Tagging.EditCategory InventoryService.Tagging.EditTag InventoryService.Tagging.ModifyUsedByForCategory InventoryService.Tagging.ModifyUsedByForTag InventoryService.Tagging.ObjectAttachable',
  ],
];

/** Ids of centers' sample roles begin here. */
const firstSample = 4;

/** The sample roles of a center, with the ids that they have there. */
export function sampleRolesOf(): Role[] {
  return sampleRoles.map(([name, privileges], index) => ({
    id: firstSample + index,
    name,
    privileges: [...new Set([...always, ...privileges.split(' ')])].sort(),
  }));
}

/** Label and summary as clients show them. */
const descriptions: Readonly<Record<string, readonly [label: string, summary: string]>> = {
  Admin: ['Administrator', 'Full access rights'],
  ReadOnly: ['Read-only', 'See details of objects, but not make changes'],
  View: ['View', 'Visibility access (cannot be granted)'],
  Anonymous: ['Anonymous', 'Not logged-in user (cannot be granted)'],
  NoAccess: ['No access', 'Used for restricting granted access'],
  NoCryptoAdmin: ['No cryptography administrator', 'Full access without Cryptographic operations privileges'],
  TrustedAdmin: ['Trusted Infrastructure administrator', 'Setup and monitoring of Trusted Infrastructure'],
  NoTrustedAdmin: ['No Trusted Infrastructure administrator', 'Full access without Trusted Infrastructure privileges'],
  VirtualMachinePowerUser: [
    'Virtual machine power user (sample)',
    'Provides virtual machine interaction and configuration permissions',
  ],
  VirtualMachineUser: ['Virtual machine user (sample)', 'Provides virtual machine interaction permissions'],
  ResourcePoolAdministrator: ['Resource pool administrator (sample)', 'Supports delegated resource management'],
  VMwareConsolidatedBackupUser: ['VMware Consolidated Backup user (sample)', 'Used by the Consolidated Backup utility'],
  DatastoreConsumer: ['Datastore consumer (sample)', 'Assigned to datastores to allow creating disks or snapshots'],
  NetworkConsumer: [
    'Network administrator (sample)',
    'Assigned to networks to allow association of virtual machines or hosts with networks',
  ],
  VirtualMachineConsoleUser: [
    'Virtual Machine console user',
    'Provides virtual machine console interaction permissions',
  ],
  'InventoryService.Tagging.TaggingAdmin': ['Tagging Admin', 'Creates, changes and attaches tags and categories'],
};

/** What a role is called; its name where it has nothing better. */
export function roleDescription({ name }: Role): { readonly label: string; readonly summary: string } {
  const [label, summary] = descriptions[name] ?? [name, name];
  return { label, summary };
}
