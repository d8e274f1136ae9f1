import type { HttpHandler } from '../../codec/node-http.ts';
import { envelope, exchange } from '../../codec/testing/exchange.ts';
import type { Method, Property, Schema, TypeRef } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';

export type Arguments = Readonly<Record<string, unknown>>;

export interface MethodCall {
  readonly self: ManagedObjectReference;
  readonly method: Method;
  readonly args: Arguments;
  /** Of a session; nobody is signed in without one. */
  readonly token?: string | undefined;
}

export interface MethodAnswer {
  /** Name of the fault; undefined for a result. */
  readonly fault: string | undefined;
  readonly text: string;
}

/** One way to write calls on the wire, for tests that go over every method. */
export interface Encoding {
  readonly name: string;
  call(handler: HttpHandler, call: MethodCall): Promise<MethodAnswer>;
}

const json: Encoding = {
  name: 'VI/JSON',
  async call(handler, { self, method, args, token }) {
    const url = `/sdk/vim25/8.0.3.0/${self.type}/${self.value}/${method.name}`;
    const headers: Record<string, string> = token === undefined ? {} : { 'vmware-api-session-id': token };
    const { body, status } = await exchange(handler, { url, headers, body: JSON.stringify(args) });
    return { fault: status < 300 ? undefined : (JSON.parse(body) as { _typeName: string })._typeName, text: body };
  },
};

const soap: Encoding = {
  name: 'SOAP',
  async call(handler, { self, method, args, token }) {
    const content = Object.entries(args).map(([name, value]) => element(name, value));
    const body = envelope(
      `<${method.name} xmlns="urn:vim25"><_this type="${self.type}">${self.value}</_this>${content.join('')}</${method.name}>`,
    );
    const headers: Record<string, string> = { soapaction: '"urn:vim25/8.0.3.0"' };
    if (token !== undefined) headers.cookie = `vmware_soap_session="${token}"`;
    const { body: text } = await exchange(handler, { headers, body });
    const named = /<detail><[^>]*xsi:type="(?:\w+:)?(\w+)"/.exec(text)?.[1];
    return { fault: named ?? (/Fault>/.test(text) ? 'Fault' : undefined), text };
  },
};

export const encodings: readonly Encoding[] = [json, soap];

/** What a call with an argument that its method does not take is answered with. */
export const argumentFaults: readonly (string | undefined)[] = [
  'InvalidRequest',
  'InvalidType',
  'InvalidArgument',
  'ManagedObjectNotFound',
];

/** Finds something of a type to refer to. */
export type ReferenceChoice = (type: string) => ManagedObjectReference;

const nothingThere: ReferenceChoice = (type) => ({ _typeName: 'ManagedObjectReference', type, value: `x-${type}` });

/** The least arguments that a method takes: references are to objects named `x-<type>` unless told. */
export function leastArguments(schema: Schema, method: Method, choose = nothingThere): Arguments {
  return Object.fromEntries(
    method.parameters.filter(({ optional }) => !optional).map(({ name, type }) => [name, least(schema, type, choose)]),
  );
}

/** Arguments that a method does not take: one left out, one of another type, one that it does not know. */
export function* wrongArguments(schema: Schema, method: Method): Generator<Arguments> {
  const args = leastArguments(schema, method);
  for (const parameter of method.parameters) {
    const { [parameter.name]: _left, ...without } = args;
    // In SOAP an array of nothing and no array are the same.
    if (!parameter.optional && !parameter.type.array) yield without;
    for (const value of wrongValues(schema, parameter)) yield { ...args, [parameter.name]: value };
  }
  yield { ...args, noSuchArgument: 'x' };
}

function element(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((each) => element(name, each)).join('');
  if (typeof value !== 'object' || value === null) return `<${name}>${String(value)}</${name}>`;
  const { _typeName: type, ...members } = value as Record<string, unknown>;
  if (type === 'ManagedObjectReference')
    return `<${name} type="${String(members.type)}">${String(members.value)}</${name}>`;
  const content = () =>
    Object.entries(members)
      .map(([key, each]) => element(key, each))
      .join('');
  if (typeof type !== 'string') return `<${name}>${content()}</${name}>`;
  if ('_value' in members) return `<${name} xsi:type="xsd:${type}">${String(members._value)}</${name}>`;
  return `<${name} xsi:type="${type}">${content()}</${name}>`;
}

/** The least that is a value of a type. */
function least(schema: Schema, type: TypeRef, choose: ReferenceChoice): unknown {
  const one = leastOne(schema, type.name, choose);
  return type.array ? [one] : one;
}

function leastOne(schema: Schema, name: string, choose: ReferenceChoice): unknown {
  const known = schema.type(name);
  if (name === 'ManagedObjectReference' || name === 'ManagedObject') return choose('Folder');
  if (known?.kind === 'managed') return choose(name);
  if (known?.kind === 'enum') return [...known.values][0];
  if (known?.kind === 'data') {
    const members = known.properties.filter(({ optional }) => !optional);
    return {
      _typeName: name,
      ...Object.fromEntries(members.map((each) => [each.name, least(schema, each.type, choose)])),
    };
  }
  if (name === 'boolean') return true;
  if (/^(int|short|long|byte|float|double)$/.test(name)) return 1;
  if (name === 'dateTime') return '2026-01-02T03:04:05Z';
  if (name === 'base64Binary' || name === 'binary') return 'AAAA';
  if (name === 'TypeName') return 'VirtualMachine';
  if (name === 'anyType') return { _typeName: 'string', _value: 'x' };
  return 'x';
}

/** What is no value of a parameter, whichever encoding it comes in. */
function wrongValues(schema: Schema, { type }: Property): unknown[] {
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
