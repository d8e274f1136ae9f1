import assert from 'node:assert/strict';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManagementEndpoint } from './management-endpoint.ts';
import { envelope, exchange } from './testing/exchange.ts';
import { smallCenter } from './testing/small-center.ts';

const currentVersion = { soapaction: '"urn:vim25/8.0.3.0"' };
const login =
  '<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this>' +
  '<userName>root</userName><password>secret</password></Login>';
const content =
  '<RetrieveServiceContent><_this type="ServiceInstance">ServiceInstance</_this></RetrieveServiceContent>';

function retrieve(objects: string, paths: string, tag = (name: string) => name): string {
  const t = tag;
  return (
    `<${t('RetrievePropertiesEx')} xmlns:v="urn:vim25"><${t('options')}/>` +
    `<${t('specSet')}>${objects}<${t('propSet')}><${t('pathSet')}>${paths}</${t('pathSet')}>` +
    `<${t('type')}>VirtualMachine</${t('type')}></${t('propSet')}></${t('specSet')}>` +
    `<${t('_this')} type="PropertyCollector">propertyCollector</${t('_this')}></${t('RetrievePropertiesEx')}>`
  );
}
const machine = (number: number, tag = (name: string) => name) =>
  `<${tag('objectSet')}><${tag('obj')} type="VirtualMachine">vm-${number}</${tag('obj')}></${tag('objectSet')}>`;

async function signedIn(machines = 1) {
  const center = smallCenter(machines);
  const endpoint = new ManagementEndpoint(center);
  const answer = await exchange(endpoint, { body: envelope(login), headers: currentVersion });
  const cookie = answer.headers['set-cookie'] as string;
  const call = (body: string, headers: Readonly<Record<string, string>> = {}) =>
    exchange(endpoint, { body: envelope(body), headers: { ...currentVersion, cookie, ...headers } });
  return { center, endpoint, answer, cookie, call };
}

test('signing in sets the one cookie, by which later calls are known; signing out ends it', async () => {
  const { answer, cookie, call } = await signedIn();
  assert.equal(answer.status, 200);
  assert.equal(cookie, 'vmware_soap_session="token-1"; Path=/; HttpOnly; Secure');
  assert.match(answer.body, /<LoginResponse xmlns="urn:vim25"><returnval><key>session-key-1<\/key>/);
  const time = '<CurrentTime><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>';
  assert.match((await call(time)).body, /<returnval>2026-01-01T00:00:00.5Z<\/returnval>/);
  const plain = await call(time, { cookie: 'other=1; vmware_soap_session=token-1; more=2' });
  assert.equal(plain.status, 200);
  const byHeader = await exchange((await signedInEndpoint()).endpoint, {
    body: envelope(
      time,
      '<s:Header><operationID>op-1</operationID><vcSessionCookie>token-1</vcSessionCookie></s:Header>',
    ),
  });
  assert.equal(byHeader.status, 200);
  const out = await call('<Logout><_this type="SessionManager">SessionManager</_this></Logout>');
  assert.match(out.body, /<LogoutResponse xmlns="urn:vim25"><\/LogoutResponse>/);
  const after = await call(time);
  assert.equal(after.status, 500);
  assert.match(
    after.body,
    /<NotAuthenticatedFault xmlns="urn:vim25" xsi:type="NotAuthenticated"><object type="ServiceInstance">/,
  );
});

async function signedInEndpoint() {
  return signedIn();
}

test('members come in any order and with any prefix', async () => {
  const { call } = await signedIn();
  const prefixed = (name: string) => `v:${name}`;
  for (const body of [
    retrieve(machine(1), 'name'),
    retrieve(machine(1, prefixed), 'name', prefixed),
    retrieve(machine(1), '<![CDATA[name]]>'),
  ]) {
    const { status, body: text } = await call(body);
    assert.equal(status, 200, text);
    assert.match(text, /<name>name<\/name><val xsi:type="xsd:string">machine-1<\/val>/);
  }
});

test('the client is answered in its own version', async () => {
  const { endpoint } = await signedIn();
  const at = async (soapaction: string | undefined) =>
    (await exchange(endpoint, { body: envelope(content), headers: soapaction === undefined ? {} : { soapaction } }))
      .body;
  assert.match(await at('"urn:vim25/6.9.1"'), /<tenantManager/);
  assert.doesNotMatch(await at('"urn:vim25/6.7"'), /<tenantManager/);
  assert.doesNotMatch(await at('urn:vim25/6.8.9'), /<tenantManager/);
  assert.doesNotMatch(await at('""'), /tenantManager|instanceUuid/);
  assert.doesNotMatch(await at(undefined), /tenantManager|instanceUuid/);
  assert.match(await at('"urn:vim25/99.0"'), /<tenantManager/);
});

test('a property is fetched by name', async () => {
  const { call } = await signedIn();
  const fetch = (prop: string) => `<Fetch><_this type="VirtualMachine">vm-1</_this><prop>${prop}</prop></Fetch>`;
  assert.match(
    (await call(fetch('name'))).body,
    /<FetchResponse xmlns="urn:vim25"><returnval xsi:type="xsd:string">machine-1/,
  );
  assert.match((await call(fetch('datastore'))).body, /<returnval xsi:type="ArrayOfManagedObjectReference">/);
  assert.match((await call(fetch('nonsense'))).body, /xsi:type="InvalidProperty"/);
  const stranger = await call(fetch('name'), { cookie: '' });
  assert.match(stranger.body, /NotAuthenticated/);
});

test('what is wrong with a request is said by a typed fault that names the place', async () => {
  const { call } = await signedIn();
  const refused = async (body: string) => {
    const { status, body: text } = await call(body);
    assert.equal(status, 500, text);
    return text;
  };
  const create = (config: string) =>
    `<CreateVM_Task><_this type="Folder">group-d1</_this><config>${config}</config><pool type="ResourcePool">p</pool></CreateVM_Task>`;
  const device = (inner: string) =>
    create(`<deviceChange><operation>add</operation><device ${inner}</device></deviceChange>`);
  for (const [body, ...patterns] of [
    ['<NoSuchMethod/>', /InvalidRequest/, /no method NoSuchMethod/],
    ['<CurrentTime/>', /InvalidRequest/, /_this is missing/],
    [create('<nmae>x</nmae>'), /InvalidRequest/, /no member config\.nmae/],
    [create('<name>a</name><name>b</name>'), /config\.name is given twice/],
    [create('<numCPUs>many</numCPUs>'), /InvalidType/, /<argument>config\.numCPUs</],
    [create('<numCPUs>5000000000</numCPUs>'), /InvalidArgument/, /<invalidProperty>config\.numCPUs</],
    [create('<files><vmPathName><deep/></vmPathName></files>'), /InvalidType/, /config\.files\.vmPathName/],
    [device('xsi:type="VirtualDisk"><key>1</key>'), /deviceChange\[0\]\.device\.capacityInKB is missing/],
    [device('xsi:type="HostSystem"><key>1</key>'), /InvalidType/, /<argument>config\.deviceChange\[0\]\.device</],
    [device('xsi:type="Nonsense"><key>1</key>'), /InvalidType/],
    [
      create('<deviceChange><operation>conquer</operation></deviceChange>'),
      /InvalidArgument/,
      /deviceChange\[0\]\.operation/,
    ],
    [create('').replace('type="ResourcePool"', 'type="Datastore"'), /InvalidType/, /<argument>pool</],
    [create('').replace(/<pool.*pool>/, ''), /pool is missing/],
    ['<CurrentTime><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime><CurrentTime/>', /one method/],
  ] as const) {
    const text = await refused(body);
    for (const pattern of patterns) assert.match(text, pattern as RegExp);
  }
});

test('a nil member is an unset one', async () => {
  const { call } = await signedIn();
  const { status } = await call(
    retrieve(machine(1), 'name').replace('<specSet>', '<specSet><reportMissingObjectsInResults xsi:nil="true"/>'),
  );
  assert.equal(status, 200);
});

test('whatever is not plain SOAP of a sane size is refused as a fault', async () => {
  const { endpoint } = await signedIn();
  async function* endless() {
    const piece = Buffer.from(`<a>${'x'.repeat(65_000)}</a>`);
    yield Buffer.from('<s:Envelope xmlns:s="x"><s:Header><q>');
    for (;;) yield piece;
  }
  const entities = '<!DOCTYPE x [<!ENTITY a "b">]><s:Envelope xmlns:s="x"/>';
  for (const [body, pattern] of [
    [entities, /DOCTYPE/],
    [`<?php x?>${envelope(content)}`, /processing instruction/],
    [envelope(`<CurrentTime>&unknown;</CurrentTime>`), /malformed/],
    [envelope('<a>'.repeat(100_000)), /no method|too deep/],
    [envelope(`<CreateVM_Task><config>${'<a>'.repeat(1000)}`), /no member/],
    [envelope(''), /body is empty/],
    ['', /malformed/],
    ['hello', /malformed/],
    [Uint8Array.of(0xff, 0xfe, 0x3c, 0x00), /UTF-8/],
    [endless(), /too large/],
  ] as const) {
    const { status, body: text } = await exchange(endpoint, { body });
    assert.equal(status, 500);
    assert.match(text, pattern);
    assert.match(text, /<faultcode>ServerFaultCode<\/faultcode>.*xsi:type="InvalidRequest"/s);
  }
  assert.equal((await exchange(endpoint, { method: 'GET' })).status, 500);
});

test('whatever the bytes, the answer is 200 or 500, at once', async () => {
  const { endpoint, center, cookie } = await signedIn();
  const whole = Buffer.from(envelope(retrieve(machine(1), 'name')));
  const mutated = fc
    .array(fc.tuple(fc.nat(whole.length - 1), fc.oneof(fc.nat(255), fc.constantFrom(60, 62, 38, 34, 47))), {
      maxLength: 6,
    })
    .map((changes) => {
      const bytes = Buffer.from(whole);
      for (const [at, byte] of changes) bytes[at] = byte;
      return bytes;
    });
  const cut = fc
    .tuple(fc.nat(whole.length), fc.nat(whole.length))
    .map(([a, b]) => Buffer.concat([whole.subarray(0, a), whole.subarray(b)]));
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, cut, fc.uint8Array({ maxLength: 300 })), async (body) => {
      const begun = process.cpuUsage();
      const { status } = await exchange(endpoint, { body, headers: { ...currentVersion, cookie } });
      assert.ok(status === 200 || status === 500);
      // Of the processor, in microseconds: a machine may be busy.
      assert.ok(process.cpuUsage(begun).user < 5e6);
    }),
    { numRuns: 500 },
  );
  assert.deepEqual(center.defects, []);
});

test('a large request is read in pieces', async () => {
  const { endpoint, cookie } = await signedIn(3);
  const body = Buffer.from(envelope(retrieve(machine(1).repeat(20_000), 'name')));
  async function* pieces() {
    for (let at = 0; at < body.length; at += 100_001) yield body.subarray(at, at + 100_001);
  }
  const answer = await exchange(endpoint, { body: pieces(), headers: { ...currentVersion, cookie } });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.match(/<objects>/g)?.length, 20_000);
});

test('2,000 machines are streamed in small pieces while others get their turn', async (t) => {
  const { endpoint, cookie } = await signedIn(2000);
  const objects = Array.from({ length: 2000 }, (_, i) => machine(i + 1)).join('');
  const properties = ['name', 'config', 'summary', 'runtime', 'datastore'].join('</pathSet><pathSet>');
  const body = envelope(retrieve(objects, properties));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const begun = performance.now();
  const answer = await exchange(endpoint, { body, headers: { ...currentVersion, cookie } });
  const elapsed = performance.now() - begun;
  delay.disable();
  assert.equal(answer.body.match(/<objects>/g)?.length, 2000);
  assert.ok(answer.chunks > 100, `${answer.chunks} chunks`);
  const size = (answer.body.length / 2000 / 1024).toFixed(1);
  t.diagnostic(
    `${((elapsed * 1000) / 2000).toFixed(0)} µs a machine of ${size} KB, longest stall ${(delay.max / 1e6).toFixed(1)} ms`,
  );
});
