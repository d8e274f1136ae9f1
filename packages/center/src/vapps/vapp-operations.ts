import { requirePrivilege } from '@hypostyle/services';
import {
  type Call,
  fault,
  type ManagedObjectReference,
  type ResourceConfigSpec,
  type VAppConfigSpec,
} from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';
import { byCall } from '../containers/acting.ts';
import { type PoolDocument, referenceOf } from '../inventory/entity-document.ts';
import { entityName } from '../inventory/entity-name.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import type { PoolOperations } from '../pools/pool-operations.ts';
import { poolAt } from '../pools/pool-tree.ts';
import { changedConfig } from './vapp-config.ts';
import { membersOf } from './vapp-entities.ts';

export interface NewVApp {
  readonly name: string;
  readonly resSpec: ResourceConfigSpec;
  readonly configSpec: VAppConfigSpec;
  readonly vmFolder?: ManagedObjectReference | undefined;
}

/** vApps, as far as they are the center's own: making and configuring. One change of the inventory each. */
export class VAppOperations {
  readonly #core: CenterBase;
  readonly #pools: PoolOperations;

  constructor(core: CenterBase, pools: PoolOperations) {
    this.#core = core;
    this.#pools = pools;
  }

  /** ResourcePool.CreateVApp: in a folder beside the machines, unless within another vApp. */
  create(call: Call, { name, resSpec, configSpec, vmFolder }: NewVApp): Promise<ManagedObjectReference<'VirtualApp'>> {
    const folder = vAppFolder(this.#core, poolAt(this.#core.inventory, call.self.ref.value), vmFolder);
    if (folder !== undefined) {
      const ref = referenceOf({ type: 'Folder', value: folder });
      requirePrivilege(privilegeScope(this.#core), call, ref, 'VApp.Create');
    }
    return this.#core.inventory.edit((edit) => {
      const parent = poolAt(edit, call.self.ref.value);
      const config = changedConfig(undefined, { spec: configSpec, members: [], parameter: 'configSpec' });
      const resources = this.#pools.resourcesFor(edit, parent, resSpec);
      const vApp: PoolDocument = {
        type: 'VirtualApp',
        value: edit.mint('resgroup-v'),
        name: entityName(name),
        parent: parent.value,
        owner: parent.owner,
        resources,
        vApp: { config, ...(folder === undefined ? {} : { folder }) },
      };
      requireFreeName(edit, vApp);
      edit.put(vApp);
      this.#pools.created(edit, byCall(this.#core, call), { pool: vApp, parent });
      return referenceOf(vApp) as ManagedObjectReference<'VirtualApp'>;
    });
  }

  /** VirtualApp.UpdateVAppConfig */
  async update(call: Call, spec: VAppConfigSpec): Promise<void> {
    this.#requireForUpdate(call, spec);
    await this.#core.inventory.edit((edit) => {
      const before = poolAt(edit, call.self.ref.value);
      if (before.vApp === undefined) return;
      const members = membersOf(edit, before);
      const config = changedConfig(before.vApp.config, { spec, members, parameter: 'spec' });
      edit.put({ ...before, vApp: { ...before.vApp, config } });
    });
  }

  #requireForUpdate(call: Call, spec: VAppConfigSpec): void {
    const {
      ipAssignment,
      property,
      managedBy,
      _typeName: _,
      ...rest
    } = spec as VAppConfigSpec & { _typeName?: string };
    const must = (privilege: string) => requirePrivilege(privilegeScope(this.#core), call, call.self.ref, privilege);
    if (ipAssignment !== undefined || (property?.length ?? 0) > 0) must('VApp.InstanceConfig');
    if (managedBy !== undefined) must('VApp.ManagedByConfig');
    if (Object.values(rest).some((member) => member !== undefined && !(Array.isArray(member) && member.length === 0)))
      must('VApp.ApplicationConfig');
  }
}

/** The folder that a new vApp comes to; none within another vApp. Throws InvalidArgument. */
export function vAppFolder(
  { inventory }: CenterBase,
  parent: PoolDocument,
  asked: ManagedObjectReference | undefined,
): string | undefined {
  if (parent.type === 'VirtualApp') {
    if (asked === undefined) return undefined;
    throw invalidFolder('A vApp within another is in no folder.');
  }
  const datacenter = inventory.above(parent.owner, ['Datacenter']);
  if (asked === undefined) return datacenter?.vmFolder;
  const folder = inventory.get('Folder', asked);
  if (!folder.childType.includes('VirtualApp') || inventory.above(folder.value, ['Datacenter']) !== datacenter)
    throw invalidFolder('A vApp goes to a folder of machines of the same datacenter.');
  return folder.value;
}

function invalidFolder(message: string) {
  return fault('InvalidArgument', { invalidProperty: 'vmFolder' }, message);
}
