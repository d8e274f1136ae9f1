import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { envelope, exchange } from '../../packages/vim/src/codec/testing/exchange.ts';
import { administrator, CenterInProcess, type Faces, hostAdministrator } from '../harness/center-in-process.ts';
import { JsonCalls } from '../harness/json-calls.ts';

// Who came, who was turned away, who changed what: told in events, by name and address, at a center and at its hosts.

const password = 'Correct-horse-7';

interface Event {
  readonly _typeName: string;
  readonly key: number;
  readonly userName: string;
  readonly ipAddress?: string;
  readonly fullFormattedMessage: string;
}

let at: CenterInProcess;
let center: Faces;
let admin: JsonCalls;
/** Their one names, as events have them. */
let administratorName = '';
let ann = '';
before(async () => {
  at = await CenterInProcess.open({ machines: 1 });
  center = at.center;
  const { session, token } = await center.signIn(administrator);
  admin = new JsonCalls(center, token);
  administratorName = session.userName;
  ann = administratorName.replace(/administrator/i, 'ann');
});
after(async () => {
  await at?.[Symbol.asyncDispose]();
  assert.deepEqual(at?.defects, []);
});

function service(faces: Faces, type: string): ManagedObjectReference {
  const [object] = faces.endpoint.registry.all(type as 'Folder');
  assert.ok(object !== undefined, type);
  return object.ref;
}

/** What happened since the event of that key, oldest first. */
async function eventsAfter(calls: JsonCalls, faces: Faces, key: number): Promise<Event[]> {
  const filter = { _typeName: 'EventFilterSpec' };
  const all = (await calls.call(service(faces, 'EventManager'), 'QueryEvents', { filter })) as Event[];
  return all.filter((event) => event.key > key).sort((a, b) => a.key - b.key);
}

async function lastKey(calls: JsonCalls, faces: Faces): Promise<number> {
  return (await eventsAfter(calls, faces, 0)).at(-1)?.key ?? 0;
}

const shown = ({ _typeName, userName, ipAddress = '' }: Event) => `${_typeName} ${userName} ${ipAddress}`.trim();

test('accounts, roles and permissions change, and events say who did it', async () => {
  const since = await lastKey(admin, center);
  const accounts = service(center, 'HostLocalAccountManager');
  const rights = service(center, 'AuthorizationManager');
  const user = { _typeName: 'HostAccountSpec', id: 'ann', password };
  await admin.call(accounts, 'CreateUser', { user });
  await admin.call(accounts, 'CreateGroup', { group: { _typeName: 'HostAccountSpec', id: 'staff' } });
  await admin.call(accounts, 'AssignUserToGroup', { user: 'ann', group: 'staff' });
  await admin.call(accounts, 'UpdateUser', { user: { ...user, description: 'Ann' } });
  const roleId = await admin.call(rights, 'AddAuthorizationRole', { name: 'Guards' });
  const entity = { _typeName: 'ManagedObjectReference', type: 'Folder', value: 'group-d1' };
  const permission = (role: unknown) => [
    { _typeName: 'Permission', principal: 'ann', group: false, roleId: role, propagate: true },
  ];
  await admin.call(rights, 'SetEntityPermissions', { entity, permission: permission(roleId) });
  await admin.call(rights, 'SetEntityPermissions', { entity, permission: permission(-1) });
  await admin.call(rights, 'RemoveAuthorizationRole', { roleId, failIfUsed: true });
  const events = (await eventsAfter(admin, center, since)).map(shown);
  const by = administratorName;
  assert.deepEqual(events, [
    `AccountCreatedEvent ${by}`,
    `AccountCreatedEvent ${by}`,
    `AccountUpdatedEvent ${by}`,
    `AccountUpdatedEvent ${by}`,
    `RoleAddedEvent ${by}`,
    `PermissionAddedEvent ${by}`,
    `PermissionUpdatedEvent ${by}`,
    `RoleRemovedEvent ${by}`,
  ]);
});

test('every way to sign in is told of with its address, whether it led in or not', async () => {
  const since = await lastKey(admin, center);
  const basic = (secret: string) => `Basic ${Buffer.from(`ann:${secret}`).toString('base64')}`;
  for (const secret of ['wrong', password]) {
    const body = envelope(
      `<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this><userName>ann</userName><password>${secret}</password></Login>`,
    );
    await exchange(center.management, { headers: { soapaction: '"urn:vim25/8.0.3.0"' }, body });
    const calls = new JsonCalls(center, '');
    await calls.try(service(center, 'SessionManager'), 'Login', { userName: 'VSPHERE.LOCAL\\ann', password: secret });
    const headers = { authorization: basic(secret) };
    const { status } = await center.automation({ url: '/api/session', headers });
    assert.equal(status, secret === password ? 201 : 401);
  }
  const events = (await eventsAfter(admin, center, since)).map(shown);
  assert.deepEqual(events, [
    'BadUsernameSessionEvent ann 192.0.2.1',
    'BadUsernameSessionEvent VSPHERE.LOCAL\\ann 192.0.2.1',
    'BadUsernameSessionEvent ann 192.0.2.1',
    ...Array.from({ length: 3 }, () => `UserLoginSessionEvent ${ann} 192.0.2.1`),
  ]);
});

test('what a user does through the center is the user’s at the host as well', async () => {
  const atHost = new JsonCalls(at.host, (await at.host.signIn(hostAdministrator)).token);
  const calls = new JsonCalls(center, (await center.signIn({ userName: 'ann', password })).token);
  const [since, sinceAtHost] = [await lastKey(admin, center), await lastKey(atHost, at.host)];
  await calls.task(service(center, 'VirtualMachine'), 'PowerOnVM_Task');
  await calls.task(service(center, 'VirtualMachine'), 'PowerOffVM_Task');
  const poweredAt = async (by: JsonCalls, faces: Faces, key: number) =>
    (await eventsAfter(by, faces, key)).filter((event) => /^VmStarting|^VmStopping/.test(event._typeName)).map(shown);
  assert.deepEqual(await poweredAt(admin, center, since), [`VmStartingEvent ${ann}`, `VmStoppingEvent ${ann}`]);
  assert.deepEqual(await poweredAt(atHost, at.host, sinceAtHost), [
    `VmStartingEvent vpxuser:${ann}`,
    `VmStoppingEvent vpxuser:${ann}`,
  ]);
});

test('an account is locked out of every face after five failures, and the administrator never is', async () => {
  const since = await lastKey(admin, center);
  const wrongly = async (userName: string) => {
    for (let i = 0; i < 6; i += 1)
      await assert.rejects(center.signIn({ userName, password: 'wrong' }, `198.51.100.${i}`), { type: 'InvalidLogin' });
  };
  await wrongly(ann);
  await assert.rejects(center.signIn({ userName: 'ann', password }, '198.51.100.99'), { type: 'InvalidLogin' });
  const headers = { authorization: `Basic ${Buffer.from(`ann:${password}`).toString('base64')}` };
  assert.equal((await center.automation({ url: '/api/session', headers })).status, 401);
  await wrongly('root');
  await center.signIn({ userName: 'root', password: administrator.password }, '198.51.100.99');
  const locked = (await eventsAfter(admin, center, since)).filter((event) => event._typeName === 'EventEx');
  assert.deepEqual(
    locked.map((event) => event.fullFormattedMessage),
    [`The account ${ann} is locked for 300 seconds after 5 failed sign-ins.`],
  );
});
