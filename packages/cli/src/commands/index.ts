import type { CommandDefinition } from '../command-context.ts';
import { defineGroup } from './access/group.ts';
import { definePermission } from './access/permission.ts';
import { defineRole } from './access/role.ts';
import { defineUser } from './access/user.ts';
import { defineCompletion } from './completion.ts';
import { defineDisk } from './disk/disk.ts';
import { defineGuest } from './guest/guest.ts';
import { defineHost } from './host/host.ts';
import { defineUp } from './host/up.ts';
import { defineCluster } from './inventory/cluster.ts';
import { defineDatacenter } from './inventory/datacenter.ts';
import { defineDatastore } from './inventory/datastore.ts';
import { defineField } from './inventory/field.ts';
import { defineFolder } from './inventory/folder.ts';
import { defineInfo } from './inventory/info.ts';
import { defineLs } from './inventory/ls.ts';
import { defineMv } from './inventory/mv.ts';
import { definePool } from './inventory/pool.ts';
import { defineRename } from './inventory/rename.ts';
import { defineRm } from './inventory/rm.ts';
import { defineTag } from './inventory/tag.ts';
import { defineVApp } from './inventory/vapp.ts';
import { defineEvents } from './monitoring/events.ts';
import { defineLogs } from './monitoring/logs.ts';
import { defineMetric } from './monitoring/metric.ts';
import { defineTasks } from './monitoring/tasks.ts';
import { defineOvf } from './ovf/ovf.ts';
import { defineDeploy } from './transfer/deploy.ts';
import { defineExport } from './transfer/export.ts';
import { defineConsole } from './vm/console.ts';
import { defineCustomization } from './vm/customization.ts';
import { defineDevice } from './vm/device.ts';
import { definePower } from './vm/power.ts';
import { defineRegister } from './vm/register.ts';
import { defineSnapshot } from './vm/snapshot.ts';
import { defineVm } from './vm/vm.ts';

/** Every command, in the order of the help. */
export const commands: readonly CommandDefinition[] = [
  defineUp,
  defineHost,
  defineDatacenter,
  defineCluster,
  definePool,
  defineFolder,
  defineMv,
  defineRename,
  defineDeploy,
  defineExport,
  defineLs,
  defineInfo,
  definePower,
  defineVApp,
  defineVm,
  defineCustomization,
  defineDevice,
  defineSnapshot,
  defineConsole,
  defineGuest,
  defineLogs,
  defineEvents,
  defineTasks,
  defineMetric,
  defineRegister,
  defineRm,
  defineDatastore,
  defineDisk,
  defineOvf,
  defineTag,
  defineUser,
  defineGroup,
  defineRole,
  definePermission,
  defineField,
  defineCompletion,
];
