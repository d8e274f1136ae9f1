import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createClient } from '../client/client.ts';
import { createLocalCaller } from '../client/local-caller.ts';
import type { CallContext } from '../runtime/call-context.ts';
import { Dispatcher } from '../runtime/dispatcher.ts';
import { VimFault } from '../runtime/fault.ts';
import { Registry } from '../runtime/registry.ts';
import { loadSchema } from '../schema/schema.ts';
import { allowEverything, sessionOf } from '../services/testing/calls.ts';
import { ManagementEndpoint } from './management-endpoint.ts';
import { SoapRequestReader, soapMethods } from './soap-request.ts';
import { envelope, exchange } from './testing/exchange.ts';
import { serveForTest } from './testing/test-server.ts';
import { ValueFrames } from './value-frames.ts';
import { WireTypes } from './wire-types.ts';

const schema = loadSchema();
const types = new WireTypes(schema);
const instance = { type: 'ServiceInstance', value: 'ServiceInstance' } as const;
const time = '<CurrentTime><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>';

/** A service that keeps the context of its calls; whoever calls is signed in, and trusted or not. */
function build(mayActForOthers: boolean) {
  const registry = new Registry(schema);
  const contexts: CallContext[] = [];
  const session = { ...sessionOf('vpxuser'), mayActForOthers };
  registry.commit((draft) =>
    draft.add<'ServiceInstance'>(
      {
        type: 'ServiceInstance',
        methods: {
          CurrentTime: ({ context }) => {
            contexts.push(context);
            return '2026-01-01T00:00:00Z';
          },
        },
      },
      'ServiceInstance',
      {},
    ),
  );
  const dispatcher = new Dispatcher({ registry, authorizer: allowEverything });
  const sessions = { byToken: () => session };
  const endpoint = new ManagementEndpoint({ registry, dispatcher, authorizer: allowEverything, sessions });
  return { registry, dispatcher, session, endpoint, contexts };
}

const cookie = 'vmware_soap_session="x"';
const soapCall = (endpoint: ManagementEndpoint, header: string) =>
  exchange(endpoint, { body: envelope(time, `<s:Header>${header}</s:Header>`), headers: { cookie } });
const jsonCall = (endpoint: ManagementEndpoint, headers: Record<string, string>) =>
  exchange(endpoint, {
    url: '/sdk/vim25/8.0.3.0/ServiceInstance/ServiceInstance/CurrentTime',
    headers: { 'vmware-api-session-id': 'x', ...headers },
  });

test('the header of a call is its context; elements that nobody knows are passed over', async () => {
  const { endpoint, contexts } = build(true);
  const header =
    '<operationID xmlns="urn:internalvim25"> op-1 </operationID><a:activationId xmlns:a="urn:vim25">act</a:activationId>' +
    '<other><deep>x</deep></other><realUser>VSPHERE.LOCAL\\Administrator</realUser>';
  assert.equal((await soapCall(endpoint, header)).status, 200);
  await jsonCall(endpoint, {
    'vapi-ctx-opid': 'op-1',
    'vapi-ctx-actid': 'act',
    'hypostyle-real-user': 'VSPHERE.LOCAL%5CAdministrator',
  });
  const context = { operationId: 'op-1', activationId: 'act', realUser: 'VSPHERE.LOCAL\\Administrator' };
  assert.deepEqual(contexts, [context, context]);
  await soapCall(endpoint, '<realUser/><operationID> </operationID>');
  await jsonCall(endpoint, {});
  assert.deepEqual(contexts.slice(2), [{}, {}]);
});

test('whom a session names beside itself counts only where it is trusted', async () => {
  const { endpoint, contexts } = build(false);
  await soapCall(endpoint, '<operationID>op</operationID><realUser>root</realUser>');
  await jsonCall(endpoint, { 'hypostyle-real-user': 'root' });
  assert.deepEqual(contexts, [{ operationId: 'op' }, {}]);
});

test('a token or name that is too long or has control characters is refused, an operation is cut', async () => {
  const { endpoint, contexts } = build(true);
  for (const name of ['activationId', 'realUser']) {
    for (const text of ['x'.repeat(257), 'a&#xA;b', 'a&#x85;b', 'x'.repeat(5_000)]) {
      const { status, body } = await soapCall(endpoint, `<${name}>${text}</${name}>`);
      assert.equal(status, 500);
      assert.match(body, /xsi:type="InvalidRequest"/);
    }
  }
  for (const headers of [
    { 'vapi-ctx-actid': 'x'.repeat(257) },
    { 'hypostyle-real-user': 'a%0Ab' },
    { 'hypostyle-real-user': '%' },
  ] as Record<string, string>[]) {
    assert.equal((await jsonCall(endpoint, headers)).status, 400);
  }
  assert.deepEqual(contexts, []);
  await soapCall(endpoint, `<operationID>${'x'.repeat(300)}</operationID>`);
  await soapCall(endpoint, '<operationID>a&#xA;b</operationID>');
  assert.deepEqual(contexts, [{ operationId: 'x'.repeat(256) }, { operationId: 'a?b' }]);
});

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((s) => s.trim() === s && !/[\p{Cc}\u2028\u2029\ufffe\uffff]/u.test(s));
const printable = fc.string({ minLength: 1, maxLength: 40 }).filter((s) => s.trim() === s);

test('every caller sends the context that it is given, and it arrives unchanged', async () => {
  const { registry, dispatcher, session, endpoint, contexts } = build(true);
  // Signed in by whatever token.
  await using server = await serveForTest({
    handle: ({ method, url, headers, body, clientAddress, signal }, respond) => {
      const signedIn = { ...headers, cookie, 'vmware-api-session-id': 'x' };
      return endpoint.handle({ method, url, headers: signedIn, body, clientAddress, signal }, respond);
    },
  });
  const tls = { insecure: true };
  await using soap = createClient({ url: server.url, tls, schema });
  await using json = createClient({ url: server.url, encoding: 'json', tls, schema });
  const local = createLocalCaller({ dispatcher, registry, session });
  const context = fc.record(
    { operationId: printable, activationId: printable, realUser: text },
    { requiredKeys: [], noNullPrototype: true },
  );
  await fc.assert(
    fc.asyncProperty(context, async (sent) => {
      contexts.length = 0;
      for (const caller of [local, soap, json]) await caller.call(instance, 'CurrentTime', {}, sent);
      assert.deepEqual(contexts, [sent, sent, sent]);
    }),
    { numRuns: 40 },
  );
});

test('any header is read in bounds, or refused with the fault of a request', () => {
  const name = fc.constantFrom('operationID', 'activationId', 'realUser', 'vcSessionCookie', 'other', 's:a');
  const content = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 600 }),
    fc.constantFrom('&lt;', '<![CDATA[x]]>', '<a/>', '<a>', '</realUser>', '&#0;', '&#x85;', 'x'.repeat(1_100)),
  );
  const header = fc
    .array(fc.tuple(name, content), { maxLength: 6 })
    .map((parts) => parts.map(([tag, inner]) => `<${tag}>${inner}</${tag}>`).join(''));
  const frames = new ValueFrames(types, { lenient: false });
  const methods = soapMethods(schema);
  let read = 0;
  fc.assert(
    fc.property(header, fc.nat(), (inner, cut) => {
      const whole = envelope(time, `<s:Header>${inner}</s:Header>`);
      const reader = new SoapRequestReader(frames, methods);
      try {
        reader.write(whole.slice(0, cut % whole.length));
        reader.write(whole.slice(cut % whole.length));
        const { context = {} } = reader.end();
        for (const value of Object.values(context)) {
          assert.ok(value.length > 0 && value.length <= 256);
          assert.doesNotMatch(value, /[\p{Cc}]/u);
        }
        read += 1;
      } catch (error) {
        assert.ok(error instanceof VimFault && error.type === 'InvalidRequest', String(error));
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(read > 40, `${read} were read`);
});
