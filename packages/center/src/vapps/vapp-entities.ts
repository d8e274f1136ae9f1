import { data, type ManagedObjectReference, type VAppConfigInfo, type VAppEntityConfigInfo } from '@hypostyle/vim';
import { isPool, isShown, type PoolDocument, referenceOf } from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';

/** What an edit and the inventory have in common, as far as vApps go. */
export type VAppTree = Pick<InventoryEdit, 'find' | 'children' | 'machinesInPool'>;

/** How a machine or vApp of a vApp is started and stopped. Delays in seconds. */
export interface VAppEntity {
  readonly key: ManagedObjectReference;
  readonly tag: string;
  readonly startOrder: number;
  readonly startDelay: number;
  readonly waitingForGuest: boolean;
  readonly startAction: string;
  readonly stopDelay: number;
  readonly stopAction: string;
  readonly destroyWithParent: boolean;
}

/** What a vApp starts and stops: its machines and vApps, and those of the resource pools in it. */
export function membersOf(tree: VAppTree, pool: PoolDocument): ManagedObjectReference[] {
  const found: ManagedObjectReference[] = tree.machinesInPool(pool.value).filter(isShown).map(referenceOf);
  for (const child of tree.children(pool.value)) {
    if (child.type === 'VirtualApp') found.push(referenceOf(child));
    else if (isPool(child)) found.push(...membersOf(tree, child));
  }
  return found;
}

/** Every member with how it is started: as somebody said, or after those before it. */
export function entitiesOf(tree: VAppTree, vApp: PoolDocument): VAppEntity[] {
  const said = new Map((vApp.vApp?.config.entityConfig ?? []).map((entity) => [entity.key?.value, entity]));
  const members = membersOf(tree, vApp);
  let last = Math.max(0, ...members.map(({ value }) => said.get(value)?.startOrder ?? 0));
  return members.map((key) => {
    const { startOrder, ...entity } = { ...said.get(key.value) };
    if (startOrder === undefined) last += 1;
    return {
      key,
      tag: entity.tag ?? '',
      startOrder: startOrder ?? last,
      startDelay: entity.startDelay ?? 120,
      waitingForGuest: entity.waitingForGuest ?? false,
      startAction: entity.startAction ?? 'powerOn',
      stopDelay: entity.stopDelay ?? 120,
      stopAction: entity.stopAction ?? 'powerOff',
      destroyWithParent: entity.destroyWithParent ?? true,
    };
  });
}

/** VirtualApp.vAppConfig */
export function shownConfig(tree: VAppTree, vApp: PoolDocument): VAppConfigInfo | undefined {
  if (vApp.vApp === undefined) return undefined;
  const entityConfig = entitiesOf(tree, vApp).map((entity): VAppEntityConfigInfo => {
    return data('VAppEntityConfigInfo', { ...entity, key: entity.key as never });
  });
  const { entityConfig: _, ...config } = vApp.vApp.config;
  return { ...config, ...(entityConfig.length === 0 ? {} : { entityConfig }) };
}
