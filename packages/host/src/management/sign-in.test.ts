import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { Computer, type Daemon } from '../testing/host-fixture.ts';

const { options, rootFolder } = references;
const eventManager: ManagedObjectReference<'EventManager'> = { type: 'EventManager', value: 'ha-eventmgr' };
const accountManager = { type: 'HostLocalAccountManager', value: 'ha-localacctmgr' };
const authorizationManager = { type: 'AuthorizationManager', value: 'ha-authmgr' };
const password = 'Correct-horse-7';
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

interface Event {
  readonly _typeName: string;
  readonly key: number;
  readonly userName: string;
  readonly ipAddress?: string;
  readonly fullFormattedMessage: string;
}

async function eventsOf(daemon: Daemon): Promise<Event[]> {
  const found = (await daemon.call(eventManager, 'QueryEvents', { filter: {} })) as Event[];
  return [...found].sort((a, b) => a.key - b.key);
}

async function withHost(run: (daemon: Daemon, computer: Computer) => Promise<void>): Promise<void> {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    await run(daemon, computer);
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
}

test('five failures lock an account for fifteen minutes, from wherever they come, and the options say otherwise', () =>
  withHost(async (daemon) => {
    let address = 0;
    const signIn = (userName: string, secret: string) => {
      address += 1;
      const origin = { clientAddress: `192.0.2.${address}`, userAgent: 'test' };
      return daemon.host.sessions.signIn({ userName, password: secret }, origin);
    };
    const create = (id: string) => daemon.call(accountManager, 'CreateUser', { user: { id, password } });
    for (const id of ['ann', 'bob', 'carl']) await create(id);
    const locked = async () =>
      (await eventsOf(daemon))
        .filter((event) => event._typeName === 'EventEx')
        .map((event) => event.fullFormattedMessage);
    const failures = async (userName: string, count: number) => {
      for (let i = 0; i < count; i += 1) await assert.rejects(signIn(userName, 'wrong'), named('InvalidLogin'));
    };

    await failures('ann', 4);
    await signIn('ann', password);
    await failures('ann', 5);
    await assert.rejects(signIn('ann', password), named('InvalidLogin'));
    assert.match((await locked()).join(), /^The account ann is locked for 900 seconds after 5 failed sign-ins\.$/);

    const set = (key: string, value: number) =>
      daemon.call(options, 'UpdateOptions', { changedValue: [{ _typeName: 'OptionValue', key, value }] });
    await set('Security.AccountLockFailures', 2);
    await set('Security.AccountUnlockTime', 60);
    await failures('bob', 2);
    await assert.rejects(signIn('bob', password), named('InvalidLogin'));
    assert.match((await locked()).at(-1) ?? '', /bob is locked for 60 seconds after 2/);
    await set('Security.AccountLockFailures', 0);
    await failures('carl', 6);
    await signIn('carl', password);
    assert.equal((await locked()).length, 2);
    for (const [key, value] of [
      ['Security.AccountLockFailures', -1],
      ['Security.AccountUnlockTime', 59],
    ] as const)
      await assert.rejects(set(key, value), named('InvalidArgument'));
  }));

test('who came, who failed, and every change of accounts and rights is told of, with who did it and from where', () =>
  withHost(async (daemon) => {
    const origin = { clientAddress: '192.0.2.77', userAgent: 'test' };
    await daemon.call(accountManager, 'CreateUser', { user: { id: 'ann', password, description: 'Ann' } });
    await assert.rejects(daemon.host.sessions.signIn({ userName: 'ann', password: 'wrong' }, origin));
    const { session } = await daemon.host.sessions.signIn({ userName: 'ann', password }, origin);
    const role = (await daemon.call(authorizationManager, 'AddAuthorizationRole', { name: 'Watchers' })) as number;
    const permission = [{ principal: 'ann', group: false, roleId: role, propagate: true }];
    await daemon.call(authorizationManager, 'SetEntityPermissions', { entity: rootFolder, permission });
    const update = { roleId: role, newName: 'Guards', privIds: ['VirtualMachine.Interact.PowerOn'] };
    await daemon.call(authorizationManager, 'UpdateAuthorizationRole', update);
    await daemon.call(accountManager, 'UpdateUser', { user: { id: 'ann', password: 'Other-battery-8' } });
    await daemon.call(authorizationManager, 'RemoveEntityPermission', {
      entity: rootFolder,
      user: 'ann',
      isGroup: false,
    });
    await daemon.call(authorizationManager, 'RemoveAuthorizationRole', { roleId: role, failIfUsed: true });
    daemon.host.sessions.end(session);
    await daemon.call(accountManager, 'RemoveUser', { userName: 'ann' });
    const told = (await eventsOf(daemon)).map(({ _typeName, userName, ipAddress }) =>
      [_typeName, userName, ipAddress].filter((each) => each !== undefined).join(' '),
    );
    assert.deepEqual(told, [
      'AccountCreatedEvent root',
      'BadUsernameSessionEvent ann 192.0.2.77',
      'UserLoginSessionEvent ann 192.0.2.77',
      'RoleAddedEvent root',
      'PermissionAddedEvent root',
      'RoleUpdatedEvent root',
      'AccountUpdatedEvent root',
      'PermissionRemovedEvent root',
      'RoleRemovedEvent root',
      'UserLogoutSessionEvent ann 192.0.2.77',
      'AccountRemovedEvent root',
    ]);
    assert.equal((await eventsOf(daemon))[0]?.fullFormattedMessage.includes(password), false);
  }));
