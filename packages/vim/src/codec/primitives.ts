/** How a primitive of the schema goes over the wire. */
export interface Primitive {
  /** Type name in XML Schema, without prefix. */
  readonly xsd: string;
  readonly kind: 'string' | 'boolean' | 'integer' | 'long' | 'float' | 'dateTime' | 'binary';
  /** Name of its array type, for values declared anyType. */
  readonly arrayOf: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Every primitive but anyType, by its name in the schema. */
export const primitives: ReadonlyMap<string, Primitive> = new Map<string, Primitive>([
  ['string', { xsd: 'string', kind: 'string', arrayOf: 'ArrayOfString' }],
  ['boolean', { xsd: 'boolean', kind: 'boolean', arrayOf: 'ArrayOfBoolean' }],
  ['byte', { xsd: 'byte', kind: 'integer', arrayOf: 'ArrayOfByte', minimum: -128, maximum: 127 }],
  ['short', { xsd: 'short', kind: 'integer', arrayOf: 'ArrayOfShort', minimum: -32768, maximum: 32767 }],
  ['int', { xsd: 'int', kind: 'integer', arrayOf: 'ArrayOfInt', minimum: -2147483648, maximum: 2147483647 }],
  ['long', { xsd: 'long', kind: 'long', arrayOf: 'ArrayOfLong' }],
  ['float', { xsd: 'float', kind: 'float', arrayOf: 'ArrayOfFloat' }],
  ['double', { xsd: 'double', kind: 'float', arrayOf: 'ArrayOfDouble' }],
  ['dateTime', { xsd: 'dateTime', kind: 'dateTime', arrayOf: 'ArrayOfDateTime' }],
  ['base64Binary', { xsd: 'base64Binary', kind: 'binary', arrayOf: 'ArrayOfBase64Binary' }],
  ['TypeName', { xsd: 'string', kind: 'string', arrayOf: 'ArrayOfString' }],
  ['MethodName', { xsd: 'string', kind: 'string', arrayOf: 'ArrayOfString' }],
  ['PropertyPath', { xsd: 'string', kind: 'string', arrayOf: 'ArrayOfString' }],
  ['Link', { xsd: 'string', kind: 'string', arrayOf: 'ArrayOfString' }],
]);
