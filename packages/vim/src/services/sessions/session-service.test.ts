import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import { faultNamed, TestClient } from '../testing/calls.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedEvents } from '../testing/recorded-events.ts';
import { SessionService } from './session-service.ts';

const schema = loadSchema();

function build() {
  const registry = new Registry(schema);
  const clock = new ManualClock();
  const events = new RecordedEvents();
  let checks = 0;
  const sessions = new SessionService({
    registry,
    clock,
    events,
    identities: {
      authenticate: async (userName, password) => {
        checks += 1;
        return password === 'right' ? { userName, fullName: userName, groups: ['Administrators'] } : undefined;
      },
    },
  });
  const client = (clientAddress = '192.0.2.1') =>
    new TestClient({ registry, resolve: (token) => sessions.byToken(token), clientAddress });
  return { registry, clock, events, sessions, client, checks: () => checks };
}

const right = { userName: 'root', password: 'right' };
const wrong = { userName: 'root', password: 'wrong' };

test('signing in and out: the session is seen by its owner, listed, and gone afterwards', async () => {
  const { registry, events, sessions, client } = build();
  const one = client();
  const user = (await one.call(sessions.ref, 'Login', right)) as { userName: string; key: string };
  assert.equal(user.userName, 'root');
  const manager = registry.get(sessions.ref)!;
  const current = manager.class.perSession as unknown as Record<string, (...of: unknown[]) => unknown>;
  assert.equal((current.currentSession!(manager, sessions.byToken(one.token!)) as { key: string }).key, user.key);
  assert.equal(current.currentSession!(manager, undefined), undefined);
  assert.equal((current.sessionList!(manager, undefined) as unknown[]).length, 1);
  const token = one.token!;
  assert.ok(token.length >= 32);
  assert.ok(!JSON.stringify(sessions.list()).includes(token));
  let disposed = 0;
  sessions.byToken(token)!.onEnd(() => {
    disposed += 1;
  });
  await assert.rejects(one.call(sessions.ref, 'Login', right), faultNamed('InvalidLogin'));
  const before = registry.version;
  await one.call(sessions.ref, 'Logout');
  assert.equal(disposed, 1);
  assert.equal(sessions.byToken(token), undefined);
  assert.ok(manager.propertyVersion('sessionList') > before, 'followers of sessionList are told');
  assert.deepEqual(events.types, ['UserLoginSessionEvent', 'UserLogoutSessionEvent']);
});

test('an idle session ends after the time-out, one that calls or waits in a call does not', async () => {
  const { clock, sessions, client } = build();
  const idle = client();
  const busy = client();
  const waiting = client();
  for (const one of [idle, busy, waiting]) await one.call(sessions.ref, 'Login', right);
  const idleToken = idle.token!;
  const leave = sessions.byToken(waiting.token!)!.enter();
  for (let minute = 0; minute < 40; minute += 10) {
    clock.advance(600_000);
    assert.notEqual(sessions.byToken(busy.token!), undefined);
  }
  await assert.rejects(idle.call(sessions.ref, 'SetLocale', { locale: 'de' }), faultNamed('NotAuthenticated'));
  assert.equal(sessions.byToken(idleToken), undefined);
  assert.equal(sessions.list().length, 2);
  leave();
  clock.advance(1_900_000);
  assert.equal(sessions.list().length, 0, 'the sweep ends it with nobody asking');
});

test('guessing is slowed down, for that name and address alone, and not for ever', async () => {
  const { clock, sessions, client, checks } = build();
  for (let i = 0; i < 5; i += 1)
    await assert.rejects(client().call(sessions.ref, 'Login', wrong), faultNamed('InvalidLogin'));
  await assert.rejects(client().call(sessions.ref, 'Login', right), faultNamed('InvalidLogin'));
  assert.equal(checks(), 5, 'a locked name costs no check of a password');
  await client('192.0.2.9').call(sessions.ref, 'Login', right);
  clock.advance(31_000);
  await client().call(sessions.ref, 'Login', right);
  // Guesses all at once are no more than guesses one after another.
  const guesses = Array.from({ length: 40 }, () => client('192.0.2.7').call(sessions.ref, 'Login', wrong));
  const before = checks();
  await Promise.allSettled(guesses);
  assert.ok(checks() <= before + 5 && before <= 12);
});

test('signing in often, or many times at once, is no guessing', async () => {
  const { sessions, client } = build();
  await Promise.all(Array.from({ length: 40 }, () => client().call(sessions.ref, 'Login', right)));
  for (let i = 0; i < 40; i += 1) await client().call(sessions.ref, 'Login', right);
  assert.equal(sessions.list().length, 80);
});

test('a crowd that signs in at once waits its turn, and no address takes every place', async () => {
  const { sessions, client } = build();
  const crowd = Array.from({ length: 300 }, () => client('192.0.2.1').call(sessions.ref, 'Login', right));
  const other = client('192.0.2.2').call(sessions.ref, 'Login', right);
  const answers = await Promise.allSettled(crowd);
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 250);
  await other;
  await client('192.0.2.1').call(sessions.ref, 'Login', right);
});

test('a clone ticket makes one more session, once', async () => {
  const { clock, sessions, client } = build();
  const one = client();
  await one.call(sessions.ref, 'Login', right);
  const cloneTicket = await one.call(sessions.ref, 'AcquireCloneTicket');
  const two = client();
  await two.call(sessions.ref, 'CloneSession', { cloneTicket });
  assert.equal(sessions.byToken(two.token!)!.userName, 'root');
  await assert.rejects(client().call(sessions.ref, 'CloneSession', { cloneTicket }), faultNamed('InvalidLogin'));
  const late = await one.call(sessions.ref, 'AcquireCloneTicket');
  clock.advance(121_000);
  await assert.rejects(client().call(sessions.ref, 'CloneSession', { cloneTicket: late }), faultNamed('InvalidLogin'));
});

test('a service ticket is good for its own request, once, and only for who is signed in', async () => {
  const { sessions, client } = build();
  const spec = {
    _typeName: 'SessionManagerHttpServiceRequestSpec',
    method: 'httpPut',
    url: 'https://host/folder/a%20b.iso?dsName=d&dcPath=x',
  };
  await assert.rejects(
    client().call(sessions.ref, 'AcquireGenericServiceTicket', { spec }),
    faultNamed('NotAuthenticated'),
  );
  const one = client();
  await one.call(sessions.ref, 'Login', right);
  const acquire = async () =>
    ((await one.call(sessions.ref, 'AcquireGenericServiceTicket', { spec })) as { id: string }).id;
  const url = '/folder/a%20b.iso?dcPath=x&dsName=d';
  const id = await acquire();
  assert.equal(sessions.redeemServiceTicket(id, { method: 'PUT', url })?.userName, 'root');
  assert.equal(sessions.redeemServiceTicket(id, { method: 'PUT', url }), undefined);
  assert.equal(sessions.redeemServiceTicket(await acquire(), { method: 'GET', url }), undefined);
  assert.equal(sessions.redeemServiceTicket(await acquire(), { method: 'PUT', url: '/folder/other' }), undefined);
  const gone = await acquire();
  await one.call(sessions.ref, 'Logout');
  assert.equal(sessions.redeemServiceTicket(gone, { method: 'PUT', url }), undefined);
});

test('terminating ends another session and says who did it', async () => {
  const { events, sessions, client } = build();
  const admin = client();
  const other = client();
  await admin.call(sessions.ref, 'Login', right);
  const { key } = (await other.call(sessions.ref, 'Login', { userName: 'eve', password: 'right' })) as { key: string };
  await assert.rejects(
    admin.call(sessions.ref, 'TerminateSession', { sessionId: [key, 'none'] }),
    faultNamed('NotFound'),
  );
  assert.notEqual(sessions.byToken(other.token!), undefined, 'all or nothing');
  await admin.call(sessions.ref, 'TerminateSession', { sessionId: [key] });
  assert.equal(sessions.byToken(other.token!), undefined);
  const terminated = events.posted.find((event) => event.type === 'SessionTerminatedEvent');
  assert.deepEqual(
    [terminated?.userName, terminated?.members],
    ['root', { sessionId: key, terminatedUsername: 'eve' }],
  );
});

test('a session of the process itself is listed, never idle, not to be terminated, and ends when told', async () => {
  const { clock, events, sessions, client } = build();
  const { session, end } = sessions.openInternal({ userName: 'vpxd', groups: ['Administrators'] });
  clock.advance(7_200_000);
  assert.deepEqual(
    sessions.list().map((one) => [one.userName, one.ended, one.toUserSession().extensionSession]),
    [['vpxd', false, false]],
  );
  const admin = client();
  await admin.call(sessions.ref, 'Login', right);
  await assert.rejects(
    admin.call(sessions.ref, 'TerminateSession', { sessionId: [session.key] }),
    faultNamed('InvalidArgument'),
  );
  assert.equal(sessions.byToken(admin.token!)!.mayActForOthers, false);
  assert.equal(session.mayActForOthers, true);
  end();
  end();
  assert.equal(session.ended, true);
  assert.deepEqual(events.types, ['UserLoginSessionEvent'], 'nobody signed in or out');
});
