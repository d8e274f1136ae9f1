import type { Primitive } from './primitives.ts';

/** VI/JSON says `binary` where XML Schema says `base64Binary`. */
export function jsonPrimitiveName(primitive: Primitive): string {
  return primitive.kind === 'binary' ? 'binary' : primitive.xsd;
}

export function jsonArrayName(name: string): string {
  return name === 'ArrayOfBase64Binary' ? 'ArrayOfBinary' : name;
}

/** The schema's name of a type as VI/JSON names it. */
export function schemaNameOf(name: string): string {
  if (name === 'binary') return 'base64Binary';
  return name === 'ArrayOfBinary' ? 'ArrayOfBase64Binary' : name;
}
