import type { CommandDefinition } from '../command-context.ts';

/** Commands of one file, which is loaded when one of them is meant. */
export interface CommandFile {
  /** What they are called at the top of the tree. */
  readonly names: readonly string[];
  /** It looks at the whole tree, so that all files are loaded with it. */
  readonly all?: boolean;
  load(): Promise<CommandDefinition>;
}

/** Every command, in the order of the help. */
export const commandFiles: readonly CommandFile[] = [
  { names: ['up', 'down'], load: async () => (await import('./host/up.ts')).defineUp },
  { names: ['host'], load: async () => (await import('./host/host.ts')).defineHost },
  { names: ['datacenter'], load: async () => (await import('./inventory/datacenter.ts')).defineDatacenter },
  { names: ['cluster'], load: async () => (await import('./inventory/cluster.ts')).defineCluster },
  { names: ['pool'], load: async () => (await import('./inventory/pool.ts')).definePool },
  { names: ['folder'], load: async () => (await import('./inventory/folder.ts')).defineFolder },
  { names: ['mv'], load: async () => (await import('./inventory/mv.ts')).defineMv },
  { names: ['rename'], load: async () => (await import('./inventory/rename.ts')).defineRename },
  { names: ['deploy'], load: async () => (await import('./transfer/deploy.ts')).defineDeploy },
  { names: ['export'], load: async () => (await import('./transfer/export.ts')).defineExport },
  { names: ['ls'], load: async () => (await import('./inventory/ls.ts')).defineLs },
  { names: ['info'], load: async () => (await import('./inventory/info.ts')).defineInfo },
  { names: ['power'], load: async () => (await import('./vm/power.ts')).definePower },
  { names: ['vapp'], load: async () => (await import('./inventory/vapp.ts')).defineVApp },
  { names: ['vm'], load: async () => (await import('./vm/vm.ts')).defineVm },
  { names: ['customization'], load: async () => (await import('./vm/customization.ts')).defineCustomization },
  { names: ['device'], load: async () => (await import('./vm/device.ts')).defineDevice },
  { names: ['snapshot'], load: async () => (await import('./vm/snapshot.ts')).defineSnapshot },
  { names: ['console'], load: async () => (await import('./vm/console.ts')).defineConsole },
  { names: ['guest'], load: async () => (await import('./guest/guest.ts')).defineGuest },
  { names: ['logs'], load: async () => (await import('./monitoring/logs.ts')).defineLogs },
  { names: ['events'], load: async () => (await import('./monitoring/events.ts')).defineEvents },
  { names: ['tasks'], load: async () => (await import('./monitoring/tasks.ts')).defineTasks },
  { names: ['metric'], load: async () => (await import('./monitoring/metric.ts')).defineMetric },
  { names: ['register'], load: async () => (await import('./vm/register.ts')).defineRegister },
  { names: ['rm'], load: async () => (await import('./inventory/rm.ts')).defineRm },
  { names: ['datastore'], load: async () => (await import('./inventory/datastore.ts')).defineDatastore },
  { names: ['disk'], load: async () => (await import('./disk/disk.ts')).defineDisk },
  { names: ['ovf'], load: async () => (await import('./ovf/ovf.ts')).defineOvf },
  { names: ['tag'], load: async () => (await import('./inventory/tag.ts')).defineTag },
  { names: ['user'], load: async () => (await import('./access/user.ts')).defineUser },
  { names: ['group'], load: async () => (await import('./access/group.ts')).defineGroup },
  { names: ['role'], load: async () => (await import('./access/role.ts')).defineRole },
  { names: ['permission'], load: async () => (await import('./access/permission.ts')).definePermission },
  { names: ['field'], load: async () => (await import('./inventory/field.ts')).defineField },
  { names: ['completion'], all: true, load: async () => (await import('./completion.ts')).defineCompletion },
  { names: ['__names'], load: async () => (await import('./names.ts')).defineNames },
];
