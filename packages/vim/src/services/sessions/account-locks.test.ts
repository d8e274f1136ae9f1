import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import { LocalAccounts } from '../accounts/local-accounts.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { faultNamed, TestClient } from '../testing/calls.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedEvents } from '../testing/recorded-events.ts';
import { SessionService } from './session-service.ts';

const schema = loadSchema();
const password = 'correct horse';

async function build() {
  const registry = new Registry(schema);
  const clock = new ManualClock();
  const events = new RecordedEvents();
  const identities = await LocalAccounts.open({
    persistence: new MemoryPersistence(),
    passwordCost: 1_024,
    domain: 'vsphere.local',
    aliases: { root: 'administrator' },
  });
  for (const user of ['administrator', 'ann']) await identities.createUser(user, password);
  const lockOut = {
    attempts: 3,
    intervalMilliseconds: 180_000,
    unlockMilliseconds: 300_000,
    neverLocked: ['VSPHERE.LOCAL\\administrator'],
  };
  const sessions = new SessionService({ registry, identities, events, clock, lockOut });
  let address = 0;
  /** From another address each time: no slowing down of one address is in the way. */
  const signIn = (userName: string, secret = password) => {
    address += 1;
    return sessions.signIn({ userName, password: secret }, { clientAddress: `192.0.2.${address}`, userAgent: '' });
  };
  return { registry, clock, events, sessions, signIn };
}

test('an account is locked after failures wherever they come from, is told of, and unlocks by time', async () => {
  const { signIn, events, clock, sessions } = await build();
  for (const name of ['ann', 'ANN@vsphere.local', 'VSPHERE.LOCAL\\ann'])
    await assert.rejects(signIn(name, 'wrong'), faultNamed('InvalidLogin'));
  await assert.rejects(signIn('ann'), faultNamed('InvalidLogin'));
  const locked = events.posted.filter(({ type }) => type === 'EventEx');
  assert.equal(locked.length, 1);
  assert.match(locked[0]?.message ?? '', /VSPHERE\.LOCAL\\ann is locked for 300 seconds after 3/);
  clock.advance(299_000);
  await assert.rejects(signIn('ann'), faultNamed('InvalidLogin'));
  clock.advance(1_000);
  await signIn('ann');
  for (let i = 0; i < 3; i += 1) await assert.rejects(signIn('ann', 'wrong'));
  sessions.unlock('Ann');
  await signIn('ann');
});

test('failures far apart lock nothing, nor does anybody lock out who is never locked', async () => {
  const { signIn, clock } = await build();
  for (let i = 0; i < 5; i += 1) {
    await assert.rejects(signIn('ann', 'wrong'));
    clock.advance(100_000);
  }
  await signIn('ann');
  for (let i = 0; i < 5; i += 1) await assert.rejects(signIn('root', 'wrong'));
  assert.equal((await signIn('root')).session.userName, 'VSPHERE.LOCAL\\administrator');
});

test('a session becomes another user’s without their password, and its own ends', async () => {
  const { registry, sessions, signIn } = await build();
  const { session, token } = await signIn('root');
  const client = new TestClient({ registry, resolve: (each) => sessions.byToken(each) });
  client.establish(session, token);
  await assert.rejects(
    client.call(sessions.ref, 'ImpersonateUser', { userName: 'nobody' }),
    faultNamed('InvalidLogin'),
  );
  assert.equal(session.ended, false);
  await client.call(sessions.ref, 'ImpersonateUser', { userName: 'ANN' });
  assert.equal(client.session?.userName, 'VSPHERE.LOCAL\\ann');
  assert.equal(session.ended, true);
  for (const [method, args] of [
    ['AcquireLocalTicket', { userName: 'ann' }],
    ['LoginByToken', {}],
    ['LoginBySSPI', { base64Token: 'x' }],
  ] as const)
    await assert.rejects(client.call(sessions.ref, method, args), faultNamed('NotSupported'));
});
