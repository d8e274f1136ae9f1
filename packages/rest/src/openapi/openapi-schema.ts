import { Kind, OptionalKind, type TObject, type TSchema } from '@sinclair/typebox';
import { mapValue } from '../edge/answer-shape.ts';
import type { Style } from '../edge/style.ts';

export type OpenApiSchema = Readonly<Record<string, unknown>>;

/** A schema of this package as OpenAPI 3.0 writes it; a map of `/rest` is a list of keys and values. */
export function openApiSchema(schema: TSchema, style: Style): OpenApiSchema {
  switch (schema[Kind]) {
    case 'Object': {
      const { properties, additionalProperties } = schema as TObject;
      const required = Object.keys(properties).filter((name) => properties[name]?.[OptionalKind] === undefined);
      return {
        type: 'object',
        properties: Object.fromEntries(
          Object.entries(properties).map(([name, property]) => [name, openApiSchema(property, style)]),
        ),
        ...(required.length === 0 ? {} : { required }),
        ...(additionalProperties === false ? { additionalProperties: false } : {}),
      };
    }
    case 'Array':
      return { type: 'array', items: openApiSchema(schema.items as TSchema, style), ...limits(schema) };
    case 'Record': {
      const value = openApiSchema(mapValue(schema), style);
      if (style === 'api') return { type: 'object', additionalProperties: value };
      const properties = { key: { type: 'string' }, value };
      return { type: 'array', items: { type: 'object', properties, required: ['key', 'value'] } };
    }
    case 'Union':
      return { type: 'string', enum: (schema.anyOf as readonly { readonly const: string }[]).map((one) => one.const) };
    case 'Literal':
      return { type: 'string', enum: [schema.const] };
    case 'String':
    case 'Integer':
    case 'Boolean':
      return { type: schema.type, ...limits(schema) };
    default:
      throw new Error(`a schema that OpenAPI has no word for: ${String(schema[Kind])}`);
  }
}

function limits(schema: TSchema): OpenApiSchema {
  const names = ['minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems', 'format', 'pattern'];
  return Object.fromEntries(names.flatMap((name) => (schema[name] === undefined ? [] : [[name, schema[name]]])));
}
