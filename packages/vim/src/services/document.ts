/** Values of the object model as JSON documents: a `bigint` is kept as `{"$long": "…"}`. */
export function toDocument(value: unknown): unknown {
  if (typeof value === 'bigint') return { $long: value.toString() };
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(toDocument);
  const document: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined) document[name] = toDocument(member);
  }
  return document;
}

export function fromDocument<T>(document: unknown): T {
  return restore(document) as T;
}

function restore(document: unknown): unknown {
  if (typeof document !== 'object' || document === null) return document;
  if (Array.isArray(document)) return document.map(restore);
  if ('$long' in document) return BigInt(document.$long as string);
  const value: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(document)) value[name] = restore(member);
  return value;
}
