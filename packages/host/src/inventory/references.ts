import { reference } from '@hypostyle/services';

/** References of a host's fixed objects, as ESXi names them. */
export const references = {
  rootFolder: reference('Folder', 'ha-folder-root'),
  datacenter: reference('Datacenter', 'ha-datacenter'),
  vmFolder: reference('Folder', 'ha-folder-vm'),
  hostFolder: reference('Folder', 'ha-folder-host'),
  datastoreFolder: reference('Folder', 'ha-folder-datastore'),
  networkFolder: reference('Folder', 'ha-folder-network'),
  computeResource: reference('ComputeResource', 'ha-compute-res'),
  host: reference('HostSystem', 'ha-host'),
  rootPool: reference('ResourcePool', 'ha-root-pool'),
  environmentBrowser: reference('EnvironmentBrowser', 'ha-env-browser'),
  datastoreSystem: reference('HostDatastoreSystem', 'ha-datastoresystem'),
  hostBrowser: reference('HostDatastoreBrowser', 'ha-host-datastorebrowser'),
  autoStartManager: reference('HostAutoStartManager', 'ha-autostart-mgr'),
  networkSystem: reference('HostNetworkSystem', 'networkSystem'),
  virtualDiskManager: reference('VirtualDiskManager', 'ha-vdiskmanager'),
  fileManager: reference('FileManager', 'ha-nfc-file-manager'),
  performanceManager: reference('PerformanceManager', 'ha-perfmgr'),
  extensionManager: reference('ExtensionManager', 'ha-extension-mgr'),
  options: reference('OptionManager', 'ha-adv-options'),
  guestOperations: reference('GuestOperationsManager', 'ha-guest-operations-manager'),
  guestAuth: reference('GuestAuthManager', 'ha-guest-operations-auth-manager'),
  guestFiles: reference('GuestFileManager', 'ha-guest-operations-file-manager'),
  guestProcesses: reference('GuestProcessManager', 'ha-guest-operations-process-manager'),
  guestAliases: reference('GuestAliasManager', 'ha-guest-operations-alias-manager'),
  ovfManager: reference('OvfManager', 'ha-ovf-manager'),
} as const;

export const accountManagerValue = 'ha-localacctmgr';
