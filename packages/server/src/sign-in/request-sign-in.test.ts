import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { fault, type Session, type SignedInSession } from '@hypostyle/vim';
import fc from 'fast-check';
import { cookie, parseBasic, RequestSignIn } from './request-sign-in.ts';

function request(headers: IncomingMessage['headers'], clientAddress = '192.0.2.1'): IncomingMessage {
  return { headers, method: 'GET', url: '/folder', socket: { remoteAddress: clientAddress } } as IncomingMessage;
}

function basic(userName: string, password: string): string {
  return `Basic ${Buffer.from(`${userName}:${password}`).toString('base64')}`;
}

/** Sessions where the password is `right`. */
function fakeSessions() {
  const byToken = new Map<string, Session>();
  let last = 0;
  return {
    byToken,
    signIns: 0,
    ticketsFor: '/folder',
    async signIn({ userName, password }: { userName: string; password: string }) {
      this.signIns += 1;
      if (password === 'busy') throw fault('SystemError', { reason: 'busy' }, 'Too many sign-ins.');
      if (password !== 'right') throw fault('InvalidLogin', {}, 'Wrong.');
      last += 1;
      const session = { userName, key: String(last) } as SignedInSession;
      byToken.set(`token${last}`, session);
      return { session, token: `token${last}` };
    },
    redeemServiceTicket(ticket: string, { url }: { readonly url: string }) {
      return ticket === 'good' && url === this.ticketsFor ? ({ userName: 'ticket' } as Session) : undefined;
    },
  };
}

function signInWith(sessions: ReturnType<typeof fakeSessions>): RequestSignIn {
  return new RequestSignIn({
    byToken: (token) => sessions.byToken.get(token) as SignedInSession | undefined,
    signIn: (credentials) => sessions.signIn(credentials),
    redeemServiceTicket: (ticket, wanted) => sessions.redeemServiceTicket(ticket, wanted),
  });
}

test('Basic begins one session for many requests, and hands out its cookie', async () => {
  const sessions = fakeSessions();
  const signIn = signInWith(sessions);
  const headers = { authorization: basic('root', 'right') };
  const first = await signIn.identify(request(headers));
  const second = await signIn.identify(request(headers));
  assert.equal(first.session?.userName, 'root');
  assert.equal(second.session, first.session);
  assert.equal(sessions.signIns, 1);
  assert.match(first.setCookie ?? '', /^vmware_soap_session="token1"; Path=\/; HttpOnly; Secure$/);
  const byCookie = await signIn.identify(request({ cookie: 'x=y; vmware_soap_session="token1"' }));
  assert.equal(byCookie.session, first.session);
  await signIn.identify(request(headers, '192.0.2.2'));
  assert.equal(sessions.signIns, 2, 'another client signs in for itself');
});

test('a session that ended is not remembered', async () => {
  const sessions = fakeSessions();
  const signIn = signInWith(sessions);
  await signIn.identify(request({ authorization: basic('root', 'right') }));
  sessions.byToken.clear();
  const again = await signIn.identify(request({ authorization: basic('root', 'right') }));
  assert.equal(again.session?.key, '2');
});

test('a wrong password, nonsense and nothing are nobody; a busy server says so', async () => {
  const signIn = signInWith(fakeSessions());
  for (const headers of [{ authorization: basic('root', 'wrong') }, { authorization: 'Bearer x' }, {}]) {
    assert.deepEqual(await signIn.identify(request(headers)), {});
  }
  assert.ok((await signIn.identify(request({ authorization: basic('root', 'busy') }))).unavailable);
});

test('a service ticket stands for its own request', async () => {
  const sessions = fakeSessions();
  const signIn = signInWith(sessions);
  const headers = { cookie: 'vmware_cgi_ticket=good' };
  assert.equal((await signIn.identify(request(headers))).session?.userName, 'ticket');
  sessions.ticketsFor = '/folder/other';
  assert.equal((await signIn.identify(request(headers))).session, undefined);
});

test('headers of strangers are read without harm', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (text, name) => {
      const value = cookie(text, name);
      assert.ok(value === undefined || (value.length > 0 && value.length <= 256));
      parseBasic(text);
    }),
  );
  fc.assert(
    fc.property(fc.stringMatching(/^[^:]{0,50}$/), fc.string(), (userName, password) => {
      fc.pre(userName.isWellFormed() && password.isWellFormed());
      assert.deepEqual(parseBasic(basic(userName, password)), { userName, password });
    }),
  );
});
