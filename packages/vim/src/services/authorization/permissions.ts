import type { DataTypes } from '../../generated/types.ts';
import type { Authorizer, RightsListener } from '../../runtime/authorizer.ts';
import { fault } from '../../runtime/fault.ts';
import type { ManagedObject } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import { isData } from '../../schema/data.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { inventoryReader, isEntity, type PropertyReader, parentsOf, withAncestors } from '../inventory.ts';
import type { Persistence } from '../persistence.ts';
import { privilegeIds } from './privilege-catalogue.ts';
import { adminRole, isSystemRole, type Role, sampleRolesOf, systemRoles } from './roles.ts';

export type Permission = DataTypes['Permission'];
export type EntityReference = NonNullable<Permission['entity']>;

/** Whose rights are asked for: a session is one. */
export interface Principal {
  readonly userName: string;
  readonly groups?: readonly string[];
}

export interface PermissionsOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  /** The root folder: services count as it. */
  readonly rootFolder: ManagedObjectReference;
  /** Who gets the role Admin on the root folder when there are no permissions at all yet. */
  readonly administrators: readonly { readonly principal: string; readonly group: boolean }[];
  /** A new center has sample roles beside those of the system; a host has none. */
  readonly sampleRoles?: boolean;
}

const permissionCollection = 'permissions';
const roleCollection = 'roles';
const counterCollection = 'role-counter';
const deepest = 256;

/** Roles and permissions, and what they allow. A permission on an entity counts there and below, until a nearer one. */
export class Permissions implements Authorizer {
  readonly rootFolder: ManagedObjectReference;
  readonly privileges: readonly string[];
  readonly #registry: Registry;
  readonly #persistence: Persistence;
  readonly #read: PropertyReader;
  readonly #roles = new Map<number, Role>();
  /** By reference value of the entity. */
  readonly #permissions = new Map<string, readonly Permission[]>();
  #lastRole = 0;
  /** What a principal has by the permissions of one entity; emptied on every change. */
  #granted = new WeakMap<Principal, Map<string, Grant | undefined>>();
  /** What follows from that by where entities lie; found again after every commit. */
  #reach = new WeakMap<Principal, Reach>();
  /** Unions of the same two sets: machines lie in a folder and in a pool, thousands of them in the same two. */
  #unions = new WeakMap<ReadonlySet<string>, WeakMap<ReadonlySet<string>, ReadonlySet<string>>>();
  readonly #listeners = new Set<RightsListener>();

  private constructor({ registry, persistence, rootFolder }: PermissionsOptions) {
    this.#registry = registry;
    this.#persistence = persistence;
    this.rootFolder = rootFolder;
    this.#read = inventoryReader(registry);
    this.privileges = privilegeIds(registry.schema);
    for (const role of systemRoles(this.privileges)) this.#roles.set(role.id, role);
  }

  static async open(options: PermissionsOptions): Promise<Permissions> {
    const permissions = new Permissions(options);
    const { persistence, administrators, rootFolder } = options;
    for (const { value } of await persistence.list<Role>(roleCollection)) permissions.#roles.set(value.id, value);
    const lastRole = await persistence.get<number>(counterCollection, 'last');
    permissions.#lastRole = lastRole ?? 0;
    if (options.sampleRoles === true && lastRole === undefined) await permissions.#addSamples();
    const entries = await persistence.list<readonly Permission[]>(permissionCollection);
    for (const { key, value } of entries) permissions.#permissions.set(key, value);
    if (entries.length === 0) {
      const entity = rootFolder as EntityReference;
      const first = administrators.map((who) => ({ ...who, entity, roleId: adminRole, propagate: true }));
      await permissions.#write(new Map([[rootFolder.value, first]]));
    }
    return permissions;
  }

  holds(session: Session, object: ManagedObjectReference, privilege: string): boolean {
    return !session.ended && this.allows(session, object, privilege);
  }

  /** True when the principal has the privilege on the object. */
  allows(principal: Principal, object: ManagedObjectReference, privilege: string): boolean {
    if (privilege === 'System.Anonymous') return true;
    const found = this.#registry.get(object);
    if (found === undefined) return false;
    const of = this.#entityOf(found);
    // Services are there for everybody who is signed in; what they do is checked on its own.
    if (privilege === 'System.View' && (of === undefined || isOwnTask(found, principal))) return true;
    const entity = of ?? this.rootFolder;
    const held = this.privilegesOn(principal, entity);
    if (held.has(privilege)) return true;
    // Whoever may see something may see the way to it.
    return privilege === 'System.View' && this.#hasPermissionBelow(principal, entity);
  }

  /** What the principal may do on the entity: by the nearest permissions, from every side that it lies in. */
  privilegesOn(principal: Principal, entity: ManagedObjectReference): ReadonlySet<string> {
    return this.#privileges(principal, entity, true, 0);
  }

  /** Roles that a principal has on an entity, for `ManagedEntity.effectiveRole`: its own, else those of its groups. */
  rolesOn(principal: Principal, entity: ManagedObjectReference): number[] {
    const effective = this.effective(entity);
    const own = effective.filter((permission) => !permission.group && permission.principal === principal.userName);
    const groups = effective.filter(
      (permission) => permission.group && principal.groups?.includes(permission.principal),
    );
    return [...new Set((own.length > 0 ? own : groups).map((permission) => permission.roleId))];
  }

  roles(): Role[] {
    return [...this.#roles.values()].sort((a, b) => a.id - b.id);
  }

  /** Fails with NotFound. */
  role(id: number): Role {
    const role = this.#roles.get(id);
    if (role === undefined) throw fault('NotFound', {}, `There is no role ${id}.`);
    return role;
  }

  async addRole(name: string, privileges: readonly string[]): Promise<Role> {
    this.#checkName(name, undefined);
    const role = { id: this.#lastRole + 1, name, privileges: this.#checkPrivileges(privileges) };
    this.#lastRole = role.id;
    await this.#persistence.transact([
      put(role),
      { put: { collection: counterCollection, key: 'last', value: role.id } },
    ]);
    this.#roles.set(role.id, role);
    return role;
  }

  async updateRole(id: number, name: string, privileges: readonly string[]): Promise<Role> {
    this.#checkCustom(id);
    this.#checkName(name, id);
    const role = { id, name, privileges: this.#checkPrivileges(privileges) };
    await this.#persistence.transact([put(role)]);
    this.#roles.set(id, role);
    this.#changed(this.withRole(id));
    return role;
  }

  /** Removes a role and the permissions that give it. Fails with RemoveFailed when it is used and may not be. */
  async removeRole(id: number, failIfUsed: boolean): Promise<Permission[]> {
    this.#checkCustom(id);
    const used = this.withRole(id);
    if (failIfUsed && used.length > 0) throw fault('RemoveFailed', {}, 'The role is in use.');
    await this.#write(this.#without(used), [{ delete: { collection: roleCollection, key: String(id) } }]);
    this.#roles.delete(id);
    return used;
  }

  all(): Permission[] {
    return [...this.#permissions.values()].flat();
  }

  withRole(id: number): Permission[] {
    return this.all().filter((permission) => permission.roleId === id);
  }

  on(entity: ManagedObjectReference): readonly Permission[] {
    return this.#permissions.get(entity.value) ?? [];
  }

  /** Permissions of the entity and, nearer ones in place of farther, those that reach it from above. */
  effective(entity: ManagedObjectReference): Permission[] {
    const found = new Map<string, Permission>();
    let level: ManagedObjectReference[] = [entity];
    for (let depth = 0; level.length > 0 && depth < deepest; depth += 1) {
      for (const at of level) {
        for (const permission of this.on(at)) {
          const key = principalKey(permission);
          if ((depth === 0 || permission.propagate) && !found.has(key)) found.set(key, permission);
        }
      }
      level = level.flatMap((at) => parentsOf(this.#read, at));
    }
    return [...found.values()];
  }

  /**
   * Replaces the permissions of entities, whole. Fails with AuthMinimumAdminPermission when nobody would be left with
   * the role Admin on the root folder.
   */
  async replace(changes: ReadonlyMap<string, readonly Permission[]>): Promise<void> {
    await this.#write(changes);
  }

  /** Permissions of one user or group, by its one name. */
  ofPrincipal(principal: string, group: boolean): Permission[] {
    return this.all().filter((permission) => permission.group === group && permission.principal === principal);
  }

  /** Throws AuthMinimumAdminPermission when nobody would keep the role Admin on the root folder without these. */
  checkAdminWithout(gone: readonly Permission[]): void {
    this.#checkAdmin(this.#without(gone));
  }

  /** Takes permissions away, such as those of a user who is gone. Fails with AuthMinimumAdminPermission. */
  async remove(gone: readonly Permission[]): Promise<void> {
    if (gone.length > 0) await this.#write(this.#without(gone));
  }

  onChange(listener: RightsListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Says that somebody is in other groups than before. */
  groupsChanged(userName: string): void {
    this.#tell((session) => session.userName === userName);
  }

  #privileges(principal: Principal, entity: ManagedObjectReference, own: boolean, depth: number): ReadonlySet<string> {
    const grant = this.#grantOn(principal, entity);
    const here = own ? grant?.all : grant?.propagated;
    if (here !== undefined) return here;
    if (depth >= deepest) return nothing;
    let all = nothing;
    for (const parent of parentsOf(this.#read, entity)) {
      all = this.#united(all, this.#privilegesBelow(principal, parent, depth + 1));
    }
    return all;
  }

  /** What the principal has on what lies in an entity, by it and those above. */
  #privilegesBelow(principal: Principal, entity: ManagedObjectReference, depth: number): ReadonlySet<string> {
    const { below } = this.#reachOf(principal);
    let found = below.get(entity.value);
    if (found === undefined) {
      found = this.#privileges(principal, entity, false, depth);
      below.set(entity.value, found);
    }
    return found;
  }

  #united(one: ReadonlySet<string>, other: ReadonlySet<string>): ReadonlySet<string> {
    if (one === other || other.size === 0) return one;
    if (one.size === 0) return other;
    let known = this.#unions.get(one);
    if (known === undefined) {
      known = new WeakMap();
      this.#unions.set(one, known);
    }
    let union = known.get(other);
    if (union === undefined) {
      union = one.union(other);
      known.set(other, union);
    }
    return union;
  }

  #reachOf(principal: Principal): Reach {
    const { version } = this.#registry;
    let reach = this.#reach.get(principal);
    if (reach?.version !== version) {
      reach = { version, below: new Map(), ways: undefined };
      this.#reach.set(principal, reach);
    }
    return reach;
  }

  /** What permissions of that entity itself give; undefined where they do not concern the principal. */
  #grantOn(principal: Principal, { value }: ManagedObjectReference): Grant | undefined {
    const permissions = this.#permissions.get(value);
    if (permissions === undefined) return undefined;
    let known = this.#granted.get(principal);
    if (known === undefined) {
      known = new Map();
      this.#granted.set(principal, known);
    }
    if (known.has(value)) return known.get(value);
    const concerned = this.#concerning(principal, permissions);
    const propagated = this.#concerning(
      principal,
      permissions.filter((permission) => permission.propagate),
    );
    const grant = { all: this.#union(concerned), propagated: this.#union(propagated) };
    known.set(value, grant);
    return grant;
  }

  /** The permission of the user, else those of the user's groups. */
  #concerning(
    { userName, groups = [] }: Principal,
    permissions: readonly Permission[],
    which: 'nearest' | 'all' = 'nearest',
  ): Permission[] {
    const own = permissions.filter((permission) => !permission.group && permission.principal === userName);
    if (own.length > 0 && which === 'nearest') return own;
    const ofGroups = permissions.filter((permission) => permission.group && groups.includes(permission.principal));
    return which === 'all' ? [...own, ...ofGroups] : ofGroups;
  }

  #union(permissions: readonly Permission[]): ReadonlySet<string> | undefined {
    if (permissions.length === 0) return undefined;
    return new Set(permissions.flatMap((permission) => this.#roles.get(permission.roleId)?.privileges ?? []));
  }

  #hasPermissionBelow(principal: Principal, { value }: ManagedObjectReference): boolean {
    const reach = this.#reachOf(principal);
    reach.ways ??= this.#waysOf(principal);
    return reach.ways.has(value);
  }

  /** Whatever lies above a permission by which the principal sees something. */
  #waysOf(principal: Principal): Set<string> {
    const ways = new Set<string>();
    for (const permissions of this.#permissions.values()) {
      const at = permissions[0]?.entity;
      if (at === undefined || !this.#concerning(principal, permissions).some((p) => this.#shows(p))) continue;
      const [, ...above] = withAncestors(this.#read, at);
      for (const { value } of above) ways.add(value);
    }
    return ways;
  }

  #shows(permission: Permission): boolean {
    return this.#roles.get(permission.roleId)?.privileges.includes('System.View') ?? false;
  }

  /** The entity that an object is, or belongs to; undefined for a service, and where that entity is gone. */
  #entityOf(object: ManagedObject): ManagedObjectReference | undefined {
    if (isEntity(this.#registry, object.ref)) return object.ref;
    const of = object.class.entity?.(object) ?? aboutEntity(object);
    return of === undefined ? undefined : this.#registry.get(of)?.ref;
  }

  #checkCustom(id: number): void {
    this.role(id);
    if (isSystemRole(id)) throw fault('InvalidArgument', { invalidProperty: 'roleId' }, 'System roles do not change.');
  }

  #checkName(name: string, except: number | undefined): void {
    if (name.trim() === '' || name.length > 80)
      throw fault('InvalidName', { name }, 'The name of the role is not valid.');
    for (const role of this.#roles.values()) {
      if (role.name === name && role.id !== except) throw fault('AlreadyExists', { name }, `The role ${name} exists.`);
    }
  }

  /** Every role that is not NoAccess holds the three that all have. */
  #checkPrivileges(privileges: readonly string[]): string[] {
    const known = new Set(this.privileges);
    const unknown = privileges.find((id) => !known.has(id));
    if (unknown !== undefined) {
      throw fault('InvalidArgument', { invalidProperty: 'privIds' }, `There is no privilege ${unknown}.`);
    }
    return [...new Set(['System.Anonymous', 'System.View', 'System.Read', ...privileges])].sort();
  }

  #without(gone: readonly Permission[]): Map<string, readonly Permission[]> {
    const changes = new Map<string, readonly Permission[]>();
    for (const [value, permissions] of this.#permissions) {
      const left = permissions.filter((permission) => !gone.includes(permission));
      if (left.length < permissions.length) changes.set(value, left);
    }
    return changes;
  }

  async #write(
    changes: ReadonlyMap<string, readonly Permission[]>,
    more: Parameters<Persistence['transact']>[0] = [],
  ): Promise<void> {
    this.#checkAdmin(changes);
    const writes = [...changes].map(([key, value]) =>
      value.length === 0
        ? { delete: { collection: permissionCollection, key } }
        : { put: { collection: permissionCollection, key, value } },
    );
    const touched = [...changes].flatMap(([value, after]) => [...(this.#permissions.get(value) ?? []), ...after]);
    await this.#persistence.transact([...writes, ...more]);
    for (const [value, permissions] of changes) {
      if (permissions.length === 0) this.#permissions.delete(value);
      else this.#permissions.set(value, permissions);
    }
    this.#changed(touched);
  }

  #checkAdmin(changes: ReadonlyMap<string, readonly Permission[]>): void {
    const root = changes.get(this.rootFolder.value);
    if (root !== undefined && !root.some((permission) => permission.roleId === adminRole && permission.propagate)) {
      throw fault('AuthMinimumAdminPermission', {}, 'Somebody must keep the role Admin on the root folder.');
    }
  }

  async #addSamples(): Promise<void> {
    const samples = sampleRolesOf();
    this.#lastRole = Math.max(...samples.map(({ id }) => id));
    const last = { put: { collection: counterCollection, key: 'last', value: this.#lastRole } };
    await this.#persistence.transact([...samples.map(put), last]);
    for (const role of samples) this.#roles.set(role.id, role);
  }

  #changed(permissions: readonly Permission[]): void {
    this.#tell((session) => this.#concerning(session, permissions, 'all').length > 0);
  }

  #tell(concerns: (session: Session) => boolean): void {
    this.#granted = new WeakMap();
    this.#reach = new WeakMap();
    for (const listener of this.#listeners) listener(concerns);
  }
}

interface Grant {
  readonly all: ReadonlySet<string> | undefined;
  readonly propagated: ReadonlySet<string> | undefined;
}

/** As of one commit. */
interface Reach {
  readonly version: number;
  /** What the principal has below an entity, by its reference's value. */
  readonly below: Map<string, ReadonlySet<string>>;
  /** Reference values of what lies above something that the principal sees. */
  ways: ReadonlySet<string> | undefined;
}

const nothing: ReadonlySet<string> = new Set();

export function principalKey({ principal, group }: { readonly principal: string; readonly group: boolean }): string {
  return `${group ? 'group' : 'user'} ${principal}`;
}

function put(role: Role) {
  return { put: { collection: roleCollection, key: String(role.id), value: role } };
}

/** The entity that a task, an alarm or a snapshot is about: who may do what with them is decided there. */
function aboutEntity(object: ManagedObject): ManagedObjectReference | undefined {
  switch (object.ref.type) {
    case 'Task':
      return (object.value('info') as DataTypes['TaskInfo'] | undefined)?.entity;
    case 'Alarm':
      return (object.value('info') as DataTypes['AlarmInfo'] | undefined)?.entity;
    case 'VirtualMachineSnapshot':
      return object.value('vm') as ManagedObjectReference | undefined;
    default:
      return undefined;
  }
}

/** Whoever started a task may follow it, whatever became of their rights and of what it is about. */
function isOwnTask(object: ManagedObject, { userName }: Principal): boolean {
  if (object.ref.type !== 'Task') return false;
  const reason = (object.value('info') as DataTypes['TaskInfo'] | undefined)?.reason;
  return isData('TaskReasonUser', reason) && reason.userName === userName;
}
