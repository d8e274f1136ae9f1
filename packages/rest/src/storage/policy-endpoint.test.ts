import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { servedCenter } from '../testing/served-center.ts';
import { parseSoapCall } from './soap-call.ts';

const { http, token } = await servedCenter('reader');

const envelope = (body: string, header = '') =>
  `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">${header}<s:Body>${body}</s:Body></s:Envelope>`;
const call = (method: string, members = '') =>
  `<${method} xmlns="urn:pbm"><_this type="X">y</_this>${members}</${method}>`;
const send = (body: string, headers: Record<string, string> = {}) => http.send('POST', '/pbm/sdk', { body, headers });

test('the service says what it has to anybody, and that there are no policies to who is signed in', async () => {
  const content = await send(envelope(call('PbmRetrieveServiceContent')));
  assert.equal(content.status, 200);
  assert.match(content.text, /<profileManager type="PbmProfileProfileManager">ProfileManager<\/profileManager>/);
  const entity = '<entity><objectType>virtualMachine</objectType><key>vm-1</key></entity>';
  const query = call('PbmQueryAssociatedProfile', entity);
  const anonymous = await send(envelope(query));
  assert.equal(anonymous.status, 500);
  assert.match(anonymous.text, /xsi:type="vim25:NotAuthenticated"/);
  const header = `<s:Header><vcSessionCookie>"${token}"</vcSessionCookie></s:Header>`;
  const cookie = { cookie: `vmware_soap_session="${token}"` };
  for (const answer of [await send(envelope(query, header)), await send(envelope(query), cookie)]) {
    assert.equal(answer.status, 200);
    assert.match(
      answer.text,
      /<PbmQueryAssociatedProfileResponse xmlns="urn:pbm"><\/PbmQueryAssociatedProfileResponse>/,
    );
  }
});

test('what is no policy, no method or not supported is a fault', async () => {
  const cookie = { cookie: `vmware_soap_session="${token}"` };
  for (const [body, fault] of [
    [envelope(call('PbmRetrieveContent', '<profileIds><uniqueId>x</uniqueId></profileIds>')), 'InvalidArgument'],
    [envelope(call('PbmCreate')), 'NotSupported'],
    [envelope(call('constructor')), 'InvalidRequest'],
    [`<!DOCTYPE a [<!ENTITY b "c">]>${envelope(call('PbmQueryProfile'))}`, 'InvalidRequest'],
    ['nothing', 'InvalidRequest'],
    [envelope('<a>'.repeat(100) + '</a>'.repeat(100)), 'InvalidRequest'],
    [envelope(call('PbmQueryProfile', 'x'.repeat(300_000))), 'InvalidRequest'],
  ] as const) {
    const answer = await send(body, cookie);
    assert.equal(answer.status, 500);
    assert.match(answer.text, new RegExp(`vim25:${fault}"`), body.slice(0, 200));
  }
});

test('any text is a call or none', () => {
  const valid = envelope(call('PbmQueryProfile', '<profileCategory>REQUIREMENT</profileCategory>'));
  const mutated = fc
    .tuple(fc.nat(valid.length), fc.nat(20), fc.string({ maxLength: 20 }))
    .map(([at, cut, more]) => valid.slice(0, at) + more + valid.slice(at + cut));
  fc.assert(
    fc.property(fc.oneof(fc.string(), mutated), (text) => {
      parseSoapCall(text);
    }),
    { numRuns: 300 },
  );
});
