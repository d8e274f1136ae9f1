import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HttpClient } from '../testing/http-client.ts';
import { SmallCenter } from '../testing/small-center.ts';

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

/** Members of a schema object that OpenAPI 3.0 knows, as far as they are used here. */
const schemaMembers = new Set(
  '$ref type properties required items enum additionalProperties oneOf minLength maxLength minimum maximum minItems maxItems format pattern'.split(
    ' ',
  ),
);

function checkSchema(schema: Record<string, unknown>, root: Record<string, unknown>, where: string): void {
  for (const name of Object.keys(schema)) assert.ok(schemaMembers.has(name), `${where}: ${name}`);
  if (schema.$ref !== undefined) {
    const found = String(schema.$ref)
      .split('/')
      .slice(1)
      .reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], root);
    assert.ok(found, `${where}: ${schema.$ref}`);
    return;
  }
  if (schema.oneOf !== undefined) {
    for (const one of schema.oneOf as Record<string, unknown>[]) checkSchema(one, root, where);
    return;
  }
  assert.ok(['object', 'array', 'string', 'integer', 'boolean'].includes(String(schema.type)), `${where}: type`);
  if (schema.type === 'array') checkSchema(schema.items as Record<string, unknown>, root, `${where}[]`);
  const properties = (schema.properties ?? {}) as Record<string, Record<string, unknown>>;
  for (const name of (schema.required ?? []) as string[]) assert.ok(name in properties, `${where}: required ${name}`);
  for (const [name, property] of Object.entries(properties)) checkSchema(property, root, `${where}.${name}`);
  if (typeof schema.additionalProperties === 'object') {
    checkSchema(schema.additionalProperties as Record<string, unknown>, root, `${where}{}`);
  }
}

test('the document is served, is OpenAPI 3.0, and has every route', async () => {
  const center = new SmallCenter();
  await using http = await HttpClient.open(center.face);
  const { status, json } = await http.send('GET', '/api/openapi.json');
  assert.equal(status, 200);
  assert.equal(json.openapi, '3.0.3');
  assert.ok(json.info.title && json.info.version);
  const ids = new Set<string>();
  for (const [path, item] of Object.entries(json.paths as Record<string, Record<string, Operation>>)) {
    assert.match(path, /^\/(api|rest)\/[^?#]*$/);
    const names = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    for (const [method, operation] of Object.entries(item)) {
      const where = `${method} ${path}`;
      assert.ok(['get', 'post', 'put', 'patch', 'delete'].includes(method), where);
      assert.ok(!ids.has(operation.operationId), `${where}: ${operation.operationId} is there twice`);
      ids.add(operation.operationId);
      const inPath = operation.parameters.filter((parameter) => parameter.in === 'path');
      assert.deepEqual(inPath.map(({ name }) => name).sort(), names.sort(), where);
      assert.ok(
        inPath.every(({ required }) => required),
        where,
      );
      assert.equal(new Set(operation.parameters.map(({ name }) => name)).size, operation.parameters.length, where);
      assert.ok(Object.keys(operation.responses).length > 1, where);
      walk(operation, (schema) => checkSchema(schema, json, where));
    }
  }
  for (const { path, method } of center.face.routes) {
    assert.ok(json.paths[path]?.[method.toLowerCase()], `${method} ${path}`);
  }
  await center.close();
});

/** Every schema of an operation. */
function walk(value: unknown, see: (schema: Record<string, unknown>) => void): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    if (name === 'schema') see(member as Record<string, unknown>);
    else walk(member, see);
  }
}
