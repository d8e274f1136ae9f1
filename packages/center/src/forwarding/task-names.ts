import type { Schema } from '@hypostyle/vim';

/** VMODL names of methods that are not simply their SOAP name without `_Task`; the schema does not have them. */
const names: Readonly<Record<string, string>> = {
  PowerOnVM_Task: 'powerOn',
  PowerOffVM_Task: 'powerOff',
  SuspendVM_Task: 'suspend',
  ResetVM_Task: 'reset',
  ReconfigVM_Task: 'reconfigure',
  CloneVM_Task: 'clone',
  MigrateVM_Task: 'migrate',
  RelocateVM_Task: 'relocate',
  UpgradeVM_Task: 'upgradeVirtualHardware',
  CustomizeVM_Task: 'customize',
  CreateVM_Task: 'createVm',
  RegisterVM_Task: 'registerVm',
  RevertToSnapshot_Task: 'revert',
  RemoveSnapshot_Task: 'remove',
  ConsolidateVMDisks_Task: 'consolidateDisks',
  SearchDatastore_Task: 'search',
  SearchDatastoreSubFolders_Task: 'searchSubFolders',
  CopyDatastoreFile_Task: 'copyFile',
  MoveDatastoreFile_Task: 'moveFile',
  DeleteDatastoreFile_Task: 'deleteFile',
  AddStandaloneHost_Task: 'addStandaloneHost',
  MoveIntoFolder_Task: 'moveInto',
  ReconnectHost_Task: 'reconnect',
  DisconnectHost_Task: 'disconnect',
};

/** Every task of a type that hosts do for the center, for `TaskManager.description`. */
export function forwardedTasks(schema: Schema): string[] {
  return (['VirtualMachine', 'VirtualMachineSnapshot', 'HostSystem', 'HostDatastoreBrowser'] as const).flatMap((type) =>
    [...(schema.managed(type)?.methods.values() ?? [])]
      .filter(({ returns }) => returns?.name === 'Task' && !returns.array)
      .map(({ name }) => taskDescriptionId(type, name)),
  );
}

/** `TaskInfo.descriptionId` of a method: `VirtualMachine.powerOn`. */
export function taskDescriptionId(type: string, method: string): string {
  const name = names[method] ?? lowerFirst(method.replace(/_Task$/, ''));
  return `${type}.${name}`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
