import type { DataTypes } from '../../generated/types.ts';
import { actingUser } from '../../runtime/call-context.ts';
import { noPermission } from '../../runtime/dispatcher.ts';
import { fault } from '../../runtime/fault.ts';
import type { Call, ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import { Turns } from '../../runtime/turns.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { EventPoster } from '../events/event-poster.ts';
import { entityName } from '../inventory.ts';
import {
  type EntityReference,
  type Permission,
  type Permissions,
  type Principal,
  principalKey,
} from './permissions.ts';
import type { PrincipalDirectory } from './principal-directory.ts';
import { privilegeGroup } from './privilege-catalogue.ts';
import { isSystemRole, type Role, roleDescription, ungrantedRoles } from './roles.ts';

export interface AuthorizationManagerOptions {
  readonly registry: Registry;
  readonly permissions: Permissions;
  readonly events: EventPoster;
  readonly sessions: AuthorizedSessions;
  readonly principals: PrincipalDirectory;
  /** Reference value of the AuthorizationManager. */
  readonly referenceValue?: string;
}

/** What rights have to do with sessions. */
export interface AuthorizedSessions {
  byKey(key: string): Session | undefined;
  /** Ends every session of a user who is gone. */
  endOf(userName: string): void;
  /** Says in which groups a user is now. */
  regroup(userName: string, groups: readonly string[]): void;
}

/** Adds the AuthorizationManager: roles and permissions as clients see and change them. */
export function addAuthorizationManager(
  options: AuthorizationManagerOptions,
): ManagedObjectReference<'AuthorizationManager'> {
  const { registry, permissions, referenceValue = 'AuthorizationManager' } = options;
  const manager = new AuthorizationManager(options);
  manager.follow();
  return registry.commit((draft) =>
    draft.add(manager.class(), referenceValue, {
      privilegeList: permissions.privileges.map((privId) => ({
        privId,
        onParent: false,
        name: privId.slice(privId.lastIndexOf('.') + 1),
        privGroupName: privilegeGroup(privId),
      })),
      roleList: permissions.roles().map(roleValue),
      description: description(permissions.privileges),
    }),
  );
}

class AuthorizationManager {
  readonly #registry: Registry;
  readonly #permissions: Permissions;
  readonly #events: EventPoster;
  readonly #sessions: AuthorizationManagerOptions['sessions'];
  readonly #principals: PrincipalDirectory;
  /** Changes go one after another: each is checked against what the one before left. */
  readonly #turns = new Turns();

  constructor({ registry, permissions, events, sessions, principals }: AuthorizationManagerOptions) {
    this.#registry = registry;
    this.#permissions = permissions;
    this.#events = events;
    this.#sessions = sessions;
    this.#principals = principals;
  }

  /** Rights follow accounts: whoever is gone has none, and whoever is in a group has its rights at once. */
  follow(): void {
    const permissions = this.#permissions;
    this.#principals.watch?.({
      removing: (principal, group) => permissions.checkAdminWithout(permissions.ofPrincipal(principal, group)),
      removed: (principal, group) =>
        this.#turns.take(async () => {
          const gone = permissions.ofPrincipal(principal, group);
          await permissions.remove(gone);
          for (const permission of gone) this.#permissionEvent(undefined, 'PermissionRemovedEvent', permission, {});
          this.#showPermissions(entitiesOf(gone));
          if (!group) this.#sessions.endOf(principal);
        }),
      regrouped: (userName, groups) => {
        this.#sessions.regroup(userName, groups);
        permissions.groupsChanged(userName);
      },
    });
  }

  class(): ManagedObjectClass<'AuthorizationManager'> {
    const permissions = this.#permissions;
    return {
      type: 'AuthorizationManager',
      methods: {
        AddAuthorizationRole: (call, { name, privIds }) =>
          this.#turns.take(async () => {
            const role = await permissions.addRole(name, privIds ?? []);
            this.#roleEvent(call, 'RoleAddedEvent', role, { privilegeList: role.privileges });
            return role.id;
          }),
        UpdateAuthorizationRole: (call, { roleId, newName, privIds }) =>
          this.#turns.take(async () => {
            const before = permissions.role(roleId);
            const role = await permissions.updateRole(roleId, newName, privIds ?? before.privileges);
            this.#roleEvent(call, 'RoleUpdatedEvent', role, {
              privilegeList: role.privileges,
              prevRoleName: before.name,
              privilegesAdded: role.privileges.filter((id) => !before.privileges.includes(id)),
              privilegesRemoved: before.privileges.filter((id) => !role.privileges.includes(id)),
            });
          }),
        RemoveAuthorizationRole: (call, { roleId, failIfUsed }) =>
          this.#turns.take(async () => {
            const role = permissions.role(roleId);
            const gone = await permissions.removeRole(roleId, failIfUsed);
            for (const permission of gone) this.#permissionEvent(call, 'PermissionRemovedEvent', permission, {});
            this.#showPermissions(entitiesOf(gone));
            this.#roleEvent(call, 'RoleRemovedEvent', role, {});
          }),
        MergePermissions: (call, { srcRoleId, dstRoleId }) =>
          this.#turns.take(async () => {
            permissions.role(srcRoleId);
            permissions.role(dstRoleId);
            const moved = permissions.withRole(srcRoleId);
            const entities = new Map(moved.map(({ entity }) => [entity!.value, entity!]));
            await this.#replace(
              call,
              [...entities.values()].map((entity) => ({
                entity,
                to: permissions
                  .on(entity)
                  .map((old) => (old.roleId === srcRoleId ? { ...old, roleId: dstRoleId } : old)),
              })),
            );
          }),
        RetrieveRolePermissions: (_call, { roleId }) => {
          permissions.role(roleId);
          return permissions.withRole(roleId);
        },
        RetrieveAllPermissions: () => permissions.all(),
        RetrieveEntityPermissions: (_call, { entity, inherited }) =>
          inherited ? permissions.effective(entity) : permissions.on(entity),
        SetEntityPermissions: (call, { entity, permission = [] }) =>
          this.#turns.take(async () => {
            const to = new Map(permissions.on(entity).map((old) => [principalKey(old), old]));
            for (const each of await this.#checked(entity, permission)) to.set(principalKey(each), each);
            await this.#replace(call, [{ entity, to: [...to.values()] }]);
          }),
        ResetEntityPermissions: (call, { entity, permission = [] }) =>
          this.#turns.take(async () => {
            const to = new Map((await this.#checked(entity, permission)).map((each) => [principalKey(each), each]));
            await this.#replace(call, [{ entity, to: [...to.values()] }]);
          }),
        RemoveEntityPermission: (call, { entity, user, isGroup }) =>
          this.#turns.take(async () => {
            const principal = (await this.#principals.find(user, isGroup)) ?? user;
            const key = principalKey({ principal, group: isGroup });
            const left = permissions.on(entity).filter((old) => principalKey(old) !== key);
            if (left.length === permissions.on(entity).length) {
              throw fault('NotFound', {}, `There is no permission for ${user} on this entity.`);
            }
            await this.#replace(call, [{ entity, to: left }]);
          }),
        HasPrivilegeOnEntity: (call, { entity, sessionId, privId }) =>
          (privId ?? []).map((id) => permissions.allows(this.#asked(call, sessionId), entity, id)),
        HasPrivilegeOnEntities: (call, { entity, sessionId, privId }) =>
          this.#availability(this.#asked(call, sessionId), entity, privId),
        HasUserPrivilegeOnEntities: async (call, { entities, userName, privId }) =>
          this.#availability(await this.#user(call, userName), entities as EntityReference[], privId),
        FetchUserPrivilegeOnEntities: async (call, { entities, userName }) => {
          const principal = await this.#user(call, userName);
          return entities.map((entity) => ({
            entity,
            privileges: [...permissions.privilegesOn(principal, entity)].sort(),
          }));
        },
      },
    };
  }

  #availability(principal: Principal, entities: readonly EntityReference[], privId: readonly string[] = []) {
    return entities.map((entity) => ({
      entity,
      privAvailability: privId.map((id) => ({
        privId: id,
        isGranted: this.#permissions.allows(principal, entity, id),
      })),
    }));
  }

  #asked(call: Call, sessionId: string): Principal {
    const session = sessionId === call.session?.key ? call.session : this.#sessions.byKey(sessionId);
    if (session === undefined) throw fault('InvalidArgument', { invalidProperty: 'sessionId' }, 'No such session.');
    return session;
  }

  /** Anybody may ask for themselves; for others one must be able to change permissions. */
  async #user(call: Call, userName: string): Promise<Principal> {
    if (call.session?.userName === userName) return call.session;
    const name = await this.#principals.find(userName, false);
    if (call.session !== undefined && call.session.userName === name) return call.session;
    this.#require(call, this.#permissions.rootFolder, 'Authorization.ModifyPermissions');
    if (name === undefined) throw userNotFound(userName, false);
    return { userName: name, groups: await this.#principals.groupsOf(name) };
  }

  #require(call: Call, entity: ManagedObjectReference, privilege: string): void {
    if (call.session !== undefined && this.#permissions.holds(call.session, entity, privilege)) return;
    throw noPermission(entity, privilege);
  }

  async #checked(entity: EntityReference, permissions: readonly Permission[]): Promise<Permission[]> {
    const checked: Permission[] = [];
    for (const { principal: written, group, roleId, propagate } of permissions) {
      this.#permissions.role(roleId);
      if (ungrantedRoles.has(roleId)) {
        throw fault('InvalidArgument', { invalidProperty: 'permission.roleId' }, 'That role is granted to nobody.');
      }
      const principal = await this.#principals.find(written, group);
      if (principal === undefined) throw userNotFound(written, group);
      checked.push({ entity: this.#registry.get(entity)?.ref as EntityReference, principal, group, roleId, propagate });
    }
    return checked;
  }

  async #replace(call: Call, changes: readonly { entity: EntityReference; to: Permission[] }[]): Promise<void> {
    const before = new Map(changes.map(({ entity }) => [entity.value, this.#permissions.on(entity)]));
    await this.#permissions.replace(new Map(changes.map(({ entity, to }) => [entity.value, to])));
    for (const { entity, to } of changes) {
      const old = new Map((before.get(entity.value) ?? []).map((each) => [principalKey(each), each]));
      for (const permission of to) {
        const previous = old.get(principalKey(permission));
        old.delete(principalKey(permission));
        if (previous?.roleId === permission.roleId && previous.propagate === permission.propagate) continue;
        const { propagate } = permission;
        const role = this.#roleArgument(permission.roleId);
        if (previous === undefined)
          this.#permissionEvent(call, 'PermissionAddedEvent', permission, { role, propagate });
        else {
          const prevRole = this.#roleArgument(previous.roleId);
          const members = { role, propagate, prevRole, prevPropagate: previous.propagate };
          this.#permissionEvent(call, 'PermissionUpdatedEvent', permission, members);
        }
      }
      for (const gone of old.values()) this.#permissionEvent(call, 'PermissionRemovedEvent', gone, {});
    }
    this.#showPermissions(changes.map(({ entity }) => entity));
    await this.#events.flush();
  }

  /** `ManagedEntity.permission` of entities as it is now. */
  #showPermissions(entities: readonly EntityReference[]): void {
    if (entities.length === 0) return;
    this.#registry.commit((draft) => {
      for (const entity of entities) {
        if (draft.has(entity)) draft.set(entity, { permission: this.#permissions.on(entity) });
      }
    });
  }

  #permissionEvent(call: Call | undefined, type: keyof DataTypes, permission: Permission, members: object): void {
    const { entity, principal, group } = permission;
    const name = entity === undefined ? '' : entityName(this.#registry.get(entity));
    this.#events.post(undefined, {
      type,
      entity,
      userName: call === undefined ? undefined : actingUser(call),
      members: { entity: { entity, name }, principal, group, ...members },
    });
  }

  #roleEvent(call: Call, type: keyof DataTypes, role: Role, members: object): void {
    this.#registry.commit((draft) => {
      const manager = call.self.ref as ManagedObjectReference<'AuthorizationManager'>;
      draft.set(manager, { roleList: this.#permissions.roles().map(roleValue) });
      const argument = { roleId: role.id, name: role.name };
      this.#events.post(draft, { type, userName: actingUser(call), members: { role: argument, ...members } });
    });
  }

  #roleArgument(roleId: number) {
    return { roleId, name: this.#permissions.role(roleId).name };
  }
}

function entitiesOf(permissions: readonly Permission[]): EntityReference[] {
  return permissions.flatMap(({ entity }) => (entity === undefined ? [] : [entity]));
}

function userNotFound(principal: string, group: boolean) {
  return fault(
    'UserNotFound',
    { principal, unresolved: false },
    `There is no ${group ? 'group' : 'user'} ${principal}.`,
  );
}

function roleValue(role: Role): DataTypes['AuthorizationRole'] {
  const { id, name, privileges } = role;
  return {
    roleId: id,
    system: isSystemRole(id),
    name,
    info: roleDescription(role),
    privilege: privileges,
  };
}

function description(privileges: readonly string[]): DataTypes['AuthorizationDescription'] {
  const element = (key: string) => ({ key, label: key, summary: key });
  return {
    privilege: privileges.map(element),
    privilegeGroup: [...new Set(privileges.map(privilegeGroup))].map(element),
  };
}
