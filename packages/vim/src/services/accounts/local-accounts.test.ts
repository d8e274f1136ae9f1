import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { SessionService } from '../sessions/session-service.ts';
import { faultNamed, sessionOf, TestClient } from '../testing/calls.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedEvents } from '../testing/recorded-events.ts';
import { addAccountManager, addUserDirectory } from './account-managers.ts';
import { LocalAccounts } from './local-accounts.ts';

const schema = loadSchema();
const passwordCost = 1_024;

async function build(persistence = new MemoryPersistence()) {
  const registry = new Registry(schema);
  const accounts = await LocalAccounts.open({ persistence, passwordCost });
  const events = new RecordedEvents();
  const sessions = new SessionService({ registry, identities: accounts, events, clock: new ManualClock() });
  const manager = addAccountManager({
    registry,
    accounts,
    events,
    checkPassword: (call, userName, password) => sessions.checkPassword(userName, password, call.clientAddress),
  });
  const directory = addUserDirectory({ registry, accounts });
  const client = new TestClient({ registry });
  client.session = sessionOf('root');
  return { accounts, events, manager, directory, client, persistence };
}

test('accounts are kept, as hashes only, and sign in by their password', async () => {
  const { client, manager, persistence, events } = await build();
  await client.call(manager, 'CreateUser', { user: { id: 'ann', password: 'correct horse', description: 'Ann' } });
  await assert.rejects(
    client.call(manager, 'CreateUser', { user: { id: 'ann', password: 'correct horse' } }),
    faultNamed('AlreadyExists'),
  );
  await assert.rejects(
    client.call(manager, 'CreateUser', { user: { id: 'bob', password: 'short' } }),
    faultNamed('InvalidArgument'),
  );
  await client.call(manager, 'CreateGroup', { group: { id: 'staff' } });
  await client.call(manager, 'AssignUserToGroup', { user: 'ann', group: 'staff' });
  assert.ok(!JSON.stringify(await persistence.list('accounts')).includes('correct horse'));
  assert.ok(!JSON.stringify(events.posted).includes('correct horse'));

  const { accounts } = await build(persistence);
  assert.deepEqual(await accounts.authenticate('ann', 'correct horse'), {
    userName: 'ann',
    fullName: 'Ann',
    groups: ['staff'],
  });
  assert.equal(await accounts.authenticate('ann', 'wrong'), undefined);
  assert.equal(await accounts.authenticate('zoe', ''), undefined);
  assert.equal(await accounts.authenticate('staff', ''), undefined);
});

test('a password changes for whoever knows the old one, with guesses limited as in sign-in', async () => {
  const { client, manager, accounts } = await build();
  await accounts.createUser('ann', 'correct horse');
  const change = (oldPassword: string) =>
    client.call(manager, 'ChangePassword', { user: 'ann', oldPassword, newPassword: 'battery staple' });
  await assert.rejects(change('wrong'), faultNamed('InvalidLogin'));
  await change('correct horse');
  assert.notEqual(await accounts.authenticate('ann', 'battery staple'), undefined);
  for (let i = 0; i < 5; i += 1) await assert.rejects(change('wrong'), faultNamed('InvalidLogin'));
  await assert.rejects(change('battery staple'), faultNamed('InvalidLogin'));
  await client.call(manager, 'RemoveUser', { userName: 'ann' });
  assert.equal(await accounts.authenticate('ann', 'battery staple'), undefined);
  await assert.rejects(client.call(manager, 'RemoveUser', { userName: 'ann' }), faultNamed('UserNotFound'));
});

test('the directory finds users and groups by name, description and membership', async () => {
  const { client, directory, accounts } = await build();
  await accounts.createUser('ann', 'correct horse', 'Ann Lee');
  await accounts.createUser('bob', 'correct horse');
  await accounts.createGroup('staff');
  await accounts.assign('ann', 'staff');
  const find = async (args: object) => {
    const all = { searchStr: '', exactMatch: false, findUsers: true, findGroups: true, ...args };
    return ((await client.call(directory, 'RetrieveUserGroups', all)) as { principal: string }[]).map(
      (r) => r.principal,
    );
  };
  assert.deepEqual(await find({}), ['ann', 'bob', 'staff']);
  assert.deepEqual(await find({ searchStr: 'LEE' }), ['ann']);
  assert.deepEqual(await find({ searchStr: 'an', exactMatch: true }), []);
  assert.deepEqual(await find({ belongsToGroup: 'staff' }), ['ann']);
  assert.deepEqual(await find({ belongsToUser: 'ann' }), ['staff']);
  assert.deepEqual(await find({ findGroups: false }), ['ann', 'bob']);
  await assert.rejects(find({ belongsToGroup: 'none' }), faultNamed('NotFound'));
});

test('accounts of a domain go by one name, however it is written', async () => {
  const accounts = await LocalAccounts.open({
    persistence: new MemoryPersistence(),
    passwordCost,
    domain: 'vsphere.local',
    aliases: { root: 'administrator' },
  });
  const name = await accounts.createUser('Administrator', 'correct horse');
  assert.equal(name, 'VSPHERE.LOCAL\\Administrator');
  for (const written of [
    'administrator',
    'ADMINISTRATOR@VSPHERE.LOCAL',
    'VSPHERE.LOCAL\\Administrator',
    'root',
    'VSPHERE.LOCAL\\Root',
  ]) {
    assert.equal((await accounts.authenticate(written, 'correct horse'))?.userName, name, written);
    assert.equal(await accounts.find(written, false), name);
  }
  for (const stranger of ['administrator@other.local', 'OTHER\\administrator', 'ann'])
    assert.equal(await accounts.authenticate(stranger, 'correct horse'), undefined, stranger);
  await assert.rejects(accounts.createUser('ADMINISTRATOR', 'correct horse'), faultNamed('AlreadyExists'));
  await assert.rejects(accounts.createUser('root', 'correct horse'), faultNamed('AlreadyExists'));
  await assert.rejects(accounts.createUser('ann@other.local', 'correct horse'), faultNamed('InvalidArgument'));
});

test('whoever is in a group is in the groups that it is in, and groups do not hold each other', async () => {
  const { accounts } = await build();
  await accounts.createUser('ann', 'correct horse');
  for (const group of ['staff', 'ops', 'all']) await accounts.createGroup(group);
  await accounts.assign('ann', 'staff');
  const told: string[] = [];
  accounts.watch({
    removing: () => {},
    removed: async () => {},
    regrouped: (user, groups) => told.push(`${user}: ${groups}`),
  });
  await accounts.assign('staff', 'ops', { group: true });
  await accounts.assign('ops', 'all', { group: true });
  assert.deepEqual(await accounts.groupsOf('ANN'), ['staff', 'ops', 'all']);
  await assert.rejects(accounts.assign('all', 'staff', { group: true }), faultNamed('InvalidArgument'));
  await assert.rejects(accounts.assign('all', 'all', { group: true }), faultNamed('InvalidArgument'));
  await accounts.removeGroup('ops');
  assert.deepEqual(await accounts.groupsOf('ann'), ['staff']);
  assert.deepEqual(told, ['ann: staff,ops', 'ann: staff,ops,all', 'ann: staff']);
});

test('a password keeps the rules, and says which one it does not', async () => {
  const passwords = { least: 8, kinds: 3 };
  const accounts = await LocalAccounts.open({ persistence: new MemoryPersistence(), passwordCost, passwords });
  await assert.rejects(accounts.createUser('ann', 'Ab1'), /8 to/);
  await assert.rejects(accounts.createUser('ann', 'onlysmallones'), /3 kinds/);
  await assert.rejects(accounts.createUser('Password1', 'password1'), faultNamed('InvalidArgument'));
  await accounts.createUser('ann', 'Correct1horse');
  await assert.rejects(accounts.updateUser('ann', { password: 'short' }), faultNamed('InvalidArgument'));
});
