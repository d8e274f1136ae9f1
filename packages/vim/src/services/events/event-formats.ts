type EventCategory = 'info' | 'warning' | 'error' | 'user';

export interface EventFormat {
  readonly category: EventCategory;
  /** Text with members of the event in braces. */
  readonly format: string;
}

const info = (format: string): EventFormat => ({ category: 'info', format });
const warning = (format: string): EventFormat => ({ category: 'warning', format });
const error = (format: string): EventFormat => ({ category: 'error', format });

const onHost = '{vm.name} on {host.name} in {datacenter.name}';

/** What the events that this product posts say. */
const formats: Readonly<Record<string, EventFormat>> = {
  TaskEvent: info('Task: {info.descriptionId}'),
  GeneralEvent: info('{message}'),
  GeneralUserEvent: { category: 'user', format: 'User logged event: {message}' },
  GeneralVmInfoEvent: info('Information for {vm.name} on {host.name}: {message}'),
  GeneralVmWarningEvent: warning('Warning for {vm.name} on {host.name}: {message}'),
  GeneralVmErrorEvent: error('Error for {vm.name} on {host.name}: {message}'),
  GeneralHostInfoEvent: info('Information for {host.name}: {message}'),
  GeneralHostWarningEvent: warning('Warning for {host.name}: {message}'),
  GeneralHostErrorEvent: error('Error for {host.name}: {message}'),

  UserLoginSessionEvent: info('User {userName}@{ipAddress} logged in as {userAgent}'),
  UserLogoutSessionEvent: info('User {userName}@{ipAddress} logged out (login time: {loginTime})'),
  BadUsernameSessionEvent: error('Cannot login {userName}@{ipAddress}'),
  SessionTerminatedEvent: info("A session for user '{terminatedUsername}' has stopped"),
  PermissionAddedEvent: info('Permission created for {principal} on {entity.name}, role is {role.name}'),
  PermissionUpdatedEvent: info('Permission changed for {principal} on {entity.name}, role is {role.name}'),
  PermissionRemovedEvent: info('Permission rule removed for {principal} on {entity.name}'),
  RoleAddedEvent: info('New role {role.name} created'),
  RoleUpdatedEvent: info('Role {role.name} modified'),
  RoleRemovedEvent: info('Role {role.name} removed'),
  AccountCreatedEvent: info('Account {spec.id} was created on host {host.name}'),
  AccountUpdatedEvent: info('Account {spec.id} was updated on host {host.name}'),
  AccountRemovedEvent: info('Account {account} was removed on host {host.name}'),

  VmBeingCreatedEvent: info('Creating {vm.name} on {host.name} in {datacenter.name}'),
  VmCreatedEvent: info(`Created virtual machine ${onHost}`),
  VmRegisteredEvent: info(`Registered ${onHost}`),
  VmRemovedEvent: info(`Removed ${onHost}`),
  VmBeingClonedEvent: info('Cloning {vm.name} on {host.name} to {destName} on {destHost.name}'),
  VmClonedEvent: info('{sourceVm.name} cloned to {vm.name} on {host.name} in {datacenter.name}'),
  VmCloneFailedEvent: error('Failed to clone {vm.name}: {reason.localizedMessage}'),
  VmBeingDeployedEvent: info('Deploying {vm.name} on {host.name} from template {srcTemplate.name}'),
  VmDeployedEvent: info('Template {srcTemplate.name} deployed to {vm.name} on {host.name}'),
  VmDeployFailedEvent: error('Failed to deploy template: {reason.localizedMessage}'),
  VmReconfiguredEvent: info(`Reconfigured ${onHost}`),
  VmRenamedEvent: info('Renamed {oldName} to {newName} in {datacenter.name}'),
  VmStartingEvent: info('{vm.name} on host {host.name} in {datacenter.name} is starting'),
  VmPoweredOnEvent: info(`${onHost} is powered on`),
  VmStoppingEvent: info(`${onHost} is stopping`),
  VmPoweredOffEvent: info(`${onHost} is powered off`),
  VmSuspendingEvent: info(`${onHost} is being suspended`),
  VmSuspendedEvent: info(`${onHost} is suspended`),
  VmResumingEvent: info(`${onHost} is being resumed`),
  VmResettingEvent: info(`${onHost} is reset`),
  VmGuestRebootEvent: info(`Guest OS reboot for ${onHost}`),
  VmGuestShutdownEvent: info(`Guest OS shut down for ${onHost}`),
  VmGuestStandbyEvent: info(`Guest OS standby for ${onHost}`),
  VmFailedToPowerOnEvent: error('Cannot power on {vm.name} on {host.name}: {reason.localizedMessage}'),
  VmFailedToPowerOffEvent: error('Cannot power off {vm.name} on {host.name}: {reason.localizedMessage}'),
  VmFailedToSuspendEvent: error('Cannot suspend {vm.name} on {host.name}: {reason.localizedMessage}'),
  VmFailedToResetEvent: error('Cannot reset {vm.name} on {host.name}: {reason.localizedMessage}'),
  VmFailedToRebootGuestEvent: error('Cannot reboot the guest OS of {vm.name}: {reason.localizedMessage}'),
  VmFailedToShutdownGuestEvent: error('Cannot shut down the guest OS of {vm.name}: {reason.localizedMessage}'),
  VmDisconnectedEvent: warning('{host.name} is disconnected from {vm.name}'),
  VmConnectedEvent: info('Virtual machine {vm.name} is connected'),
  VmOrphanedEvent: warning('{vm.name} does not exist on {host.name} in {datacenter.name}'),
  VmMessageEvent: info('Message on {vm.name} on {host.name}: {message}'),
  VmMessageWarningEvent: warning('Warning message on {vm.name} on {host.name}: {message}'),
  VmMessageErrorEvent: error('Error message on {vm.name} on {host.name}: {message}'),
  VmUuidChangedEvent: info('Changed BIOS UUID on {vm.name} from {oldUuid} to {newUuid}'),
  VmUuidConflictEvent: warning('BIOS UUID conflict ({uuid}) of {vm.name} and {conflictedVm.name}'),
  VmUuidAssignedEvent: info('Assigned new BIOS UUID ({uuid}) to {vm.name}'),
  VmInstanceUuidAssignedEvent: info('Assigned new instance UUID ({instanceUuid}) to {vm.name}'),
  VmInstanceUuidChangedEvent: info('Changed instance UUID of {vm.name} from {oldInstanceUuid} to {newInstanceUuid}'),
  VmInstanceUuidConflictEvent: warning('Instance UUID conflict ({instanceUuid}) of {vm.name} and {conflictedVm.name}'),
  VmMacAssignedEvent: info('New MAC address ({mac}) assigned to adapter {adapter} for {vm.name}'),
  VmMacChangedEvent: info('Changed MAC address from {oldMac} to {newMac} for adapter {adapter} for {vm.name}'),
  VmMacConflictEvent: warning('MAC address conflict ({mac}) of {vm.name} and {conflictedVm.name}'),
  VmResourceReallocatedEvent: info('Resource allocation changed for {vm.name}'),
  VmAcquiredTicketEvent: info('A ticket for {vm.name} of type {ticketType} has been acquired'),
  VmAcquiredMksTicketEvent: info('A console ticket for {vm.name} has been acquired'),
  VmBeingMigratedEvent: info('Migrating {vm.name} off host {host.name} in {datacenter.name}'),
  VmBeingHotMigratedEvent: info('Migrating {vm.name} from {host.name} to {destHost.name}'),
  VmMigratedEvent: info('Migrated {vm.name} from {sourceHost.name} to {host.name} in {datacenter.name}'),
  VmFailedMigrateEvent: error('Cannot migrate {vm.name} to {destHost.name}: {reason.localizedMessage}'),
  VmBeingRelocatedEvent: info('Relocating {vm.name} from {host.name} to {destHost.name}'),
  VmRelocatedEvent: info('Relocated {vm.name} from {sourceHost.name} to {host.name}'),
  VmRelocateFailedEvent: error('Failed to relocate {vm.name}: {reason.localizedMessage}'),
  VmDiskFailedEvent: error('Cannot create disk {disk}: {reason.localizedMessage}'),
  VmUpgradeCompleteEvent: info('Virtual machine compatibility upgraded to {version} for {vm.name}'),
  CustomizationStartedEvent: info('Started customization of {vm.name}'),
  CustomizationSucceeded: info('Customization of {vm.name} succeeded'),
  CustomizationFailed: error('Customization of {vm.name} failed'),

  HostConnectedEvent: info('Connected to {host.name} in {datacenter.name}'),
  HostDisconnectedEvent: info('Disconnected from {host.name} in {datacenter.name}'),
  HostConnectionLostEvent: error('Host {host.name} in {datacenter.name} is not responding'),
  HostAddedEvent: info('Added host {host.name} to datacenter {datacenter.name}'),
  HostAddFailedEvent: error('Cannot add host {hostname}'),
  HostRemovedEvent: info('Removed host {host.name} in {datacenter.name}'),
  HostReconnectionFailedEvent: error('Cannot reconnect to {host.name}'),
  HostShutdownEvent: info('Shut down {host.name}: {reason}'),
  EnteringMaintenanceModeEvent: info('Host {host.name} in {datacenter.name} has started to enter maintenance mode'),
  EnteredMaintenanceModeEvent: info('Host {host.name} in {datacenter.name} has entered maintenance mode'),
  ExitMaintenanceModeEvent: info('Host {host.name} in {datacenter.name} has exited maintenance mode'),
  CanceledHostOperationEvent: info('The operation on {host.name} was canceled'),

  DatacenterCreatedEvent: info('Created datacenter {datacenter.name} in folder {parent.name}'),
  DatacenterRenamedEvent: info('Renamed datacenter from {oldName} to {newName}'),
  ClusterCreatedEvent: info('Created cluster {computeResource.name} in {datacenter.name}'),
  ClusterDestroyedEvent: info('Removed cluster {computeResource.name} in datacenter {datacenter.name}'),
  ClusterReconfiguredEvent: info('Reconfigured cluster {computeResource.name} in datacenter {datacenter.name}'),
  ResourcePoolCreatedEvent: info('Created resource pool {resourcePool.name}'),
  ResourcePoolDestroyedEvent: info('Removed resource pool {resourcePool.name}'),
  ResourcePoolReconfiguredEvent: info('Updated configuration for {resourcePool.name}'),
  ResourcePoolMovedEvent: info('Moved resource pool {resourcePool.name} from {oldParent.name} to {newParent.name}'),
  DatastoreDiscoveredEvent: info('Found datastore {datastore.name} on {host.name}'),
  LocalDatastoreCreatedEvent: info('Created local datastore {datastore.name} on {host.name}'),
  NASDatastoreCreatedEvent: info('Created NAS datastore {datastore.name} on {host.name}'),
  VMFSDatastoreCreatedEvent: info('Created VMFS datastore {datastore.name} on {host.name}'),
  DatastoreRemovedOnHostEvent: info('Removed datastore {datastore.name} from {host.name}'),
  DatastoreDestroyedEvent: info('Removed datastore {datastore.name}'),
  DatastoreRenamedEvent: info('Renamed datastore from {oldName} to {newName}'),
  DatastoreFileCopiedEvent: info('Copied {sourceFile} to {targetFile} on {datastore.name}'),
  DatastoreFileMovedEvent: info('Moved {sourceFile} to {targetFile} on {datastore.name}'),
  DatastoreFileDeletedEvent: info('Deleted {targetFile} from {datastore.name}'),
  CustomFieldDefAddedEvent: info('Created new custom field definition {name}'),
  CustomFieldDefRemovedEvent: info('Removed field definition {name}'),
  CustomFieldValueChangedEvent: info('Changed custom field {name} on {entity.name} to {value}'),
  AlarmStatusChangedEvent: info("Alarm '{alarm.name}' on {entity.name} changed from {from} to {to}"),
  ScheduledTaskCreatedEvent: info('Created scheduled task {scheduledTask.name} on {entity.name}'),
  ScheduledTaskCompletedEvent: info('Scheduled task {scheduledTask.name} on {entity.name} completed'),
  ScheduledTaskFailedEvent: error('Scheduled task {scheduledTask.name} failed: {reason.localizedMessage}'),
};

/** The format of any event type; for one that we never post it is its name in words. */
export function eventFormat(type: string): EventFormat {
  const known = formats[type];
  if (known !== undefined) return known;
  const words = type.replace(/Event$/, '').replace(/([a-z])([A-Z])/g, '$1 $2');
  return {
    category: /Fail|Error|Lost/.test(type) ? 'error' : /Warning/.test(type) ? 'warning' : 'info',
    format: words,
  };
}

/** Fills in the braces with members of the event; what it does not have is left empty. */
export function formatEvent(format: string, event: object): string {
  // What a center does by itself, such as to its accounts, is on no host.
  const phrased =
    (event as { readonly host?: unknown }).host === undefined
      ? format.replace(/ on (host )?\{host\.name\}/g, '')
      : format;
  return phrased.replace(/\{([a-zA-Z.]{1,80})\}/g, (_, path: string) => {
    let value: unknown = event;
    for (const name of path.split('.')) {
      value =
        typeof value === 'object' && value !== null && Object.hasOwn(value, name)
          ? (value as Record<string, unknown>)[name]
          : undefined;
    }
    return typeof value === 'object' || value === undefined ? '' : String(value);
  });
}
