import { reference } from '@hypostyle/services';

/** References of what a center has once, as centers name them. */
export const services = {
  rootFolder: reference('Folder', 'group-d1'),
  alarmManager: reference('AlarmManager', 'AlarmManager'),
  fileManager: reference('FileManager', 'FileManager'),
  virtualDiskManager: reference('VirtualDiskManager', 'virtualDiskManager'),
  guestOperations: reference('GuestOperationsManager', 'guestOperationsManager'),
  guestAuth: reference('GuestAuthManager', 'guestOperationsAuthManager'),
  guestFiles: reference('GuestFileManager', 'guestOperationsFileManager'),
  guestProcesses: reference('GuestProcessManager', 'guestOperationsProcessManager'),
  guestAliases: reference('GuestAliasManager', 'guestOperationsAliasManager'),
  ovfManager: reference('OvfManager', 'OvfManager'),
} as const;
