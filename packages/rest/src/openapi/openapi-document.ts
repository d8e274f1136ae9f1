import { type TObject, type TSchema, Type } from '@sinclair/typebox';
import { type Route, routesOf } from '../edge/router.ts';
import { errorNames } from '../errors.ts';
import type { Operation } from '../operations/operation.ts';
import { oneOf } from '../schemas/common.ts';
import { type OpenApiSchema, openApiSchema } from './openapi-schema.ts';

interface Body {
  readonly required: boolean;
  readonly schema: OpenApiSchema;
}

const sessionSecurity = [{ session: [] }];

const message = Type.Object({ id: Type.String(), default_message: Type.String(), args: Type.Array(Type.String()) });
const newError = Type.Object({
  error_type: oneOf(...errorNames.map((name) => name.toUpperCase())),
  messages: Type.Array(message),
});
const oldError = Type.Object({ type: Type.String(), value: newError });

/**
 * The interface as an OpenAPI 3.0.3 document. Operations that differ by `action` alone are one there, with a required
 * parameter: a path of the document has no query.
 */
export function openApiDocument(
  operations: readonly Operation[],
  { title, version }: { readonly title: string; readonly version: string },
): object {
  const places = new Map<string, Route[]>();
  for (const route of operations.flatMap(routesOf)) {
    const key = `${route.method.toLowerCase()} ${route.path}`;
    places.set(key, [...(places.get(key) ?? []), route]);
  }
  const paths: Record<string, Record<string, object>> = {};
  const taken = new Set<string>();
  for (const [key, routes] of places) {
    const [method = '', path = ''] = key.split(' ');
    paths[path] ??= {};
    (paths[path] as Record<string, object>)[method] = describe(routes, taken);
  }
  return {
    openapi: '3.0.3',
    info: {
      title: `${title} Automation API`,
      version,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    paths,
    components: {
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic' },
        session: { type: 'apiKey', in: 'header', name: 'vmware-api-session-id' },
      },
      schemas: { Error: openApiSchema(newError, 'api'), OldError: openApiSchema(oldError, 'rest') },
    },
    security: sessionSecurity,
  };
}

function describe(routes: readonly Route[], taken: Set<string>): object {
  const [first] = routes as [Route, ...Route[]];
  const { operation, style } = first;
  const actions = routes.flatMap(({ action }) => action ?? []);
  const bodies = routes.flatMap(bodyOf);
  const isRequired = bodies.length === routes.length && bodies.every(({ required }) => required);
  const open = routes.some((route) => route.operation.open === true);
  const security = operation.id === 'cis.session.create' ? [{ basic: [] }] : open ? [] : undefined;
  return {
    operationId: uniqueId(style === 'api' ? operation.id : `rest.${operation.id}`, taken),
    summary: routes.map((route) => route.operation.summary).join(' '),
    tags: [operation.id.split('.').slice(0, 2).join('.')],
    ...(style === 'rest' ? { deprecated: true } : {}),
    parameters: [
      ...pathParameters(first.path),
      ...(actions.length === 0
        ? []
        : [
            {
              name: style === 'rest' && first.operation.rest?.action !== undefined ? '~action' : 'action',
              in: 'query',
              required: actions.length === routes.length,
              schema: { type: 'string', enum: actions },
            },
          ]),
      ...queryParameters(routes),
    ],
    ...(bodies.length === 0
      ? {}
      : {
          requestBody: {
            required: isRequired,
            content: { 'application/json': { schema: alternatives(bodies.map(({ schema }) => schema)) } },
          },
        }),
    responses: responses(routes),
    ...(security === undefined ? {} : { security }),
  };
}

function uniqueId(id: string, taken: Set<string>): string {
  let unique = id;
  for (let count = 2; taken.has(unique); count += 1) unique = `${id}.${count}`;
  taken.add(unique);
  return unique;
}

function pathParameters(path: string): object[] {
  return [...path.matchAll(/\{([a-z_]+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(routes: readonly Route[]): object[] {
  const found = new Map<string, object>();
  for (const { operation, style, method } of routes) {
    const query = operation.query as TObject | undefined;
    for (const [plain, schema] of Object.entries(query?.properties ?? {})) {
      // A list's filter; what a DELETE asks for has no prefix.
      const name = style === 'rest' && method === 'GET' ? `filter.${plain}` : plain;
      found.set(name, { name, in: 'query', required: false, schema: openApiSchema(schema, style) });
    }
  }
  return [...found.values()];
}

function bodyOf({ operation, style, wrap }: Route): Body[] {
  if (operation.body === undefined) return [];
  const schema = openApiSchema(operation.body, style);
  const required = operation.bodyOptional !== true;
  if (wrap === null) return [{ required, schema }];
  return [{ required, schema: { type: 'object', properties: { [wrap]: schema }, required: [wrap] } }];
}

function responses(routes: readonly Route[]): object {
  const found: Record<string, object> = {};
  const answers = new Map<string, OpenApiSchema[]>();
  for (const { operation, style } of routes) {
    const status =
      style === 'rest' ? '200' : operation.answer === undefined ? '204' : operation.created ? '201' : '200';
    const schemas = answers.get(status) ?? [];
    answers.set(status, schemas);
    if (operation.answer === undefined) continue;
    const schema = openApiSchema(operation.answer as TSchema, style);
    schemas.push(style === 'rest' ? { type: 'object', properties: { value: schema }, required: ['value'] } : schema);
  }
  for (const [status, schemas] of answers) {
    found[status] = {
      description: 'Success',
      ...(schemas.length === 0 ? {} : { content: { 'application/json': { schema: alternatives(schemas) } } }),
    };
  }
  const error = `#/components/schemas/${routes[0]?.style === 'rest' ? 'OldError' : 'Error'}`;
  found.default = { description: 'An error', content: { 'application/json': { schema: { $ref: error } } } };
  return found;
}

function alternatives(schemas: readonly OpenApiSchema[]): OpenApiSchema {
  const distinct = [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
  return distinct.length === 1 ? (distinct[0] as OpenApiSchema) : { oneOf: distinct };
}
