import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManagementEndpoint } from '../codec/management-endpoint.ts';
import { envelope, exchange } from '../codec/testing/exchange.ts';
import { loadSchema, type Method, type Property, type TypeRef } from '../schema/schema.ts';
import { sessionOf } from '../services/testing/calls.ts';
import { Dispatcher } from './dispatcher.ts';
import { anonymousPrivilege, methodPrivileges } from './privileges.ts';
import { Registry } from './registry.ts';

const schema = loadSchema();
const managedTypes = [...schema.names()].flatMap((name) => schema.managed(name) ?? []);

/** An instance of every managed type, none of which implements a method. */
function world(holds: boolean) {
  const registry = new Registry(schema);
  registry.commit((draft) => {
    for (const { name } of managedTypes) draft.add({ type: name as 'Folder', methods: {} }, `x-${name}`, {});
  });
  const authorizer = { holds: () => holds };
  const defects: unknown[] = [];
  const onDefect = (...defect: unknown[]) => defects.push(defect);
  const dispatcher = new Dispatcher({ registry, authorizer, onDefect });
  const session = sessionOf('eve');
  const sessions = { byToken: (token: string) => (token === 'token' ? session : undefined) };
  const endpoint = new ManagementEndpoint({ registry, dispatcher, authorizer, sessions, onDefect });
  return { endpoint, defects };
}
type Endpoint = ReturnType<typeof world>['endpoint'];
type Arguments = Readonly<Record<string, unknown>>;

interface Answer {
  readonly type: string | undefined;
  readonly text: string;
}

interface Encoding {
  readonly name: string;
  call(endpoint: Endpoint, type: string, method: Method, args: Arguments, signedIn: boolean): Promise<Answer>;
}

const json: Encoding = {
  name: 'VI/JSON',
  async call(endpoint, type, method, args, signedIn) {
    const url = `/sdk/vim25/8.0.3.0/${type}/x-${type}/${method.name}`;
    const headers: Record<string, string> = signedIn ? { 'vmware-api-session-id': 'token' } : {};
    const { body, status } = await exchange(endpoint, { url, headers, body: JSON.stringify(args) });
    return { type: status < 300 ? undefined : (JSON.parse(body) as { _typeName: string })._typeName, text: body };
  },
};

const soap: Encoding = {
  name: 'SOAP',
  async call(endpoint, type, method, args, signedIn) {
    const content = Object.entries(args).map(([name, value]) => element(name, value));
    const body = envelope(
      `<${method.name} xmlns="urn:vim25"><_this type="${type}">x-${type}</_this>${content.join('')}</${method.name}>`,
    );
    const headers: Record<string, string> = { soapaction: '"urn:vim25/8.0.3.0"' };
    if (signedIn) headers.cookie = 'vmware_soap_session="token"';
    const { body: text } = await exchange(endpoint, { headers, body });
    return {
      type: /<detail><[^>]*xsi:type="(?:\w+:)?(\w+)"/.exec(text)?.[1] ?? (/Fault>/.test(text) ? 'Fault' : undefined),
      text,
    };
  },
};

function element(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((each) => element(name, each)).join('');
  if (typeof value !== 'object' || value === null) return `<${name}>${String(value)}</${name}>`;
  const { _typeName: type, ...members } = value as Record<string, unknown>;
  if (type === 'ManagedObjectReference')
    return `<${name} type="${String(members.type)}">${String(members.value)}</${name}>`;
  if (typeof type !== 'string')
    return `<${name}>${Object.entries(members)
      .map(([key, each]) => element(key, each))
      .join('')}</${name}>`;
  if ('_value' in members) return `<${name} xsi:type="xsd:${type}">${String(members._value)}</${name}>`;
  return `<${name} xsi:type="${type}">${Object.entries(members)
    .map(([key, each]) => element(key, each))
    .join('')}</${name}>`;
}

/** The least that is a value of a type. */
function least(type: TypeRef): unknown {
  const one = leastOne(type.name);
  return type.array ? [one] : one;
}

function leastOne(name: string): unknown {
  const known = schema.type(name);
  if (name === 'ManagedObjectReference' || name === 'ManagedObject')
    return { _typeName: 'ManagedObjectReference', type: 'Folder', value: 'x-Folder' };
  if (known?.kind === 'managed') return { _typeName: 'ManagedObjectReference', type: name, value: `x-${name}` };
  if (known?.kind === 'enum') return [...known.values][0];
  if (known?.kind === 'data') {
    const members = known.properties.filter(({ optional }) => !optional);
    return { _typeName: name, ...Object.fromEntries(members.map((member) => [member.name, least(member.type)])) };
  }
  if (name === 'boolean') return true;
  if (/^(int|short|long|byte|float|double)$/.test(name)) return 1;
  if (name === 'dateTime') return '2026-01-02T03:04:05Z';
  if (name === 'base64Binary' || name === 'binary') return 'AAAA';
  if (name === 'TypeName') return 'VirtualMachine';
  if (name === 'anyType') return { _typeName: 'string', _value: 'x' };
  return 'x';
}

const leastArguments = (method: Method): Arguments =>
  Object.fromEntries(
    method.parameters.filter(({ optional }) => !optional).map(({ name, type }) => [name, least(type)]),
  );

/** What is no value of a parameter, whichever encoding it comes in. */
function wrongValues({ type }: Property): unknown[] {
  const known = schema.type(type.name);
  const inArray = (value: unknown) => (type.array ? [value] : value);
  if (known?.kind === 'enum') return [inArray('noSuchValueOfIt')];
  if (known?.kind === 'managed') {
    // A reference of a wrong type; anything is a ManagedObject, and tables are checked by what methods declare.
    const wrong = schema.isSubtype('ServiceInstance', type.name)
      ? []
      : [inArray({ _typeName: 'ManagedObjectReference', type: 'ServiceInstance', value: 'x-ServiceInstance' })];
    return [...wrong, inArray({ _typeName: 'ManagedObjectReference', type: 'NoSuchType', value: 'x' })];
  }
  if (known?.kind === 'data') return [inArray({ _typeName: 'NoSuchType' }), inArray({ noSuchMember: 'x' })];
  if (/^(int|short|long|byte|float|double|boolean)$/.test(type.name)) return [inArray('not one')];
  return [];
}

const argumentFaults = ['InvalidRequest', 'InvalidType', 'InvalidArgument', 'ManagedObjectNotFound'];

for (const encoding of [json, soap]) {
  const each = async (run: (type: string, method: Method) => Promise<void>) => {
    for (const type of managedTypes) for (const method of type.methods.values()) await run(type.name, method);
  };

  test(`${encoding.name}: nobody calls a method without a session, unless it needs none`, async () => {
    const { endpoint, defects } = world(true);
    let count = 0;
    await each(async (type, method) => {
      const answer = await encoding.call(endpoint, type, method, leastArguments(method), false);
      const expected = method.privilege === anonymousPrivilege ? 'NotSupported' : 'NotAuthenticated';
      assert.equal(answer.type, expected, `${type}.${method.name}: ${answer.text}`);
      count += 1;
    });
    assert.ok(count > 1_200, `${count}`);
    assert.deepEqual(defects, []);
  });

  test(`${encoding.name}: a method says which privilege on which object was missing, and is denied without any`, async () => {
    const { endpoint } = world(false);
    await each(async (type, method) => {
      if (method.privilege === anonymousPrivilege) return;
      const answer = await encoding.call(endpoint, type, method, leastArguments(method), true);
      const where = `${type}.${method.name}: ${answer.text}`;
      assert.equal(answer.type, 'NoPermission', where);
      const wanted = (method.privilege ?? methodPrivileges[method.name] ?? method.name).split(' ')[0]!;
      assert.ok(answer.text.includes(wanted), where);
      assert.ok(answer.text.includes(`x-${type}`), where);
    });
  });

  test(`${encoding.name}: a method that nothing implements is not supported, and arguments are as documented or refused`, async () => {
    const { endpoint, defects } = world(true);
    const done = new Set<string>();
    await each(async (type, method) => {
      const args = leastArguments(method);
      const privilege = method.privilege ?? methodPrivileges[method.name];
      const right = await encoding.call(endpoint, type, method, args, true);
      const where = `${type}.${method.name}`;
      assert.equal(right.type, privilege === undefined ? 'NoPermission' : 'NotSupported', `${where}: ${right.text}`);
      // Arguments are of the method, whoever inherits it.
      if (done.has(method.name)) return;
      done.add(method.name);
      for (const parameter of method.parameters) {
        const { [parameter.name]: _left, ...without } = args;
        const wrong = wrongValues(parameter).map((value) => ({ ...args, [parameter.name]: value }));
        // In SOAP an array of nothing and no array are the same.
        const missing = !parameter.optional && !parameter.type.array ? [without] : [];
        for (const refused of [...missing, ...wrong]) {
          const answer = await encoding.call(endpoint, type, method, refused, true);
          assert.ok(
            argumentFaults.includes(answer.type ?? ''),
            `${where} with ${JSON.stringify(refused)}: ${answer.text}`,
          );
        }
      }
      const unknown = await encoding.call(endpoint, type, method, { ...args, noSuchArgument: 'x' }, true);
      assert.ok(argumentFaults.includes(unknown.type ?? ''), `${where}: ${unknown.text}`);
    });
    assert.ok(done.size > 1_100, `${done.size}`);
    assert.deepEqual(defects, []);
  });
}
