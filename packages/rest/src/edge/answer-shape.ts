import { Kind, type TObject, type TSchema } from '@sinclair/typebox';

const holdMaps = new WeakMap<TSchema, boolean>();

/** An answer as `/rest` writes it: a map is a list of `{key, value}` there. Values without maps stay as they are. */
export function oldShape(schema: TSchema, value: unknown): unknown {
  if (value === undefined || value === null || !holdsMap(schema)) return value;
  switch (schema[Kind]) {
    case 'Record':
      return Object.entries(value).map(([key, each]) => ({ key, value: oldShape(mapValue(schema), each) }));
    case 'Array':
      return (value as unknown[]).map((each) => oldShape(schema.items as TSchema, each));
    case 'Object': {
      const { properties } = schema as TObject;
      return Object.fromEntries(
        Object.entries(value).map(([name, each]) => {
          const property = properties[name];
          return [name, property === undefined ? each : oldShape(property, each)];
        }),
      );
    }
    default:
      return value;
  }
}

/** Schema of the values of a map. */
export function mapValue(schema: TSchema): TSchema {
  return Object.values(schema.patternProperties as Record<string, TSchema>)[0] as TSchema;
}

function holdsMap(schema: TSchema): boolean {
  let known = holdMaps.get(schema);
  if (known === undefined) {
    known =
      schema[Kind] === 'Record' ||
      (schema[Kind] === 'Array' && holdsMap(schema.items as TSchema)) ||
      (schema[Kind] === 'Object' && Object.values((schema as TObject).properties).some(holdsMap));
    holdMaps.set(schema, known);
  }
  return known;
}
