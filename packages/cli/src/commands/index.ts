import type { CommandDefinition } from '../command-context.ts';
import { defineCluster } from './cluster.ts';
import { defineCompletion } from './completion.ts';
import { defineConsole } from './console.ts';
import { defineCustomization } from './customization.ts';
import { defineDatacenter } from './datacenter.ts';
import { defineDatastore } from './datastore.ts';
import { defineDeploy } from './deploy.ts';
import { defineDevice } from './device.ts';
import { defineDisk } from './disk.ts';
import { defineEvents } from './events.ts';
import { defineExport } from './export.ts';
import { defineField } from './field.ts';
import { defineFolder } from './folder.ts';
import { defineGroup } from './group.ts';
import { defineGuest } from './guest.ts';
import { defineHost } from './host.ts';
import { defineInfo } from './info.ts';
import { defineLogs } from './logs.ts';
import { defineLs } from './ls.ts';
import { defineMetric } from './metric.ts';
import { defineMv } from './mv.ts';
import { defineOvf } from './ovf.ts';
import { definePermission } from './permission.ts';
import { definePool } from './pool.ts';
import { definePower } from './power.ts';
import { defineRegister } from './register.ts';
import { defineRename } from './rename.ts';
import { defineRm } from './rm.ts';
import { defineRole } from './role.ts';
import { defineSnapshot } from './snapshot.ts';
import { defineTag } from './tag.ts';
import { defineTasks } from './tasks.ts';
import { defineUp } from './up.ts';
import { defineUser } from './user.ts';
import { defineVApp } from './vapp.ts';
import { defineVm } from './vm.ts';

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
