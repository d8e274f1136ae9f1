/** The values that are their own ancestors, in linear time. Of values with the same id the last one counts. */
export function cyclesOf<Value>(
  values: readonly Value[],
  idOf: (value: Value) => string,
  parentOf: (value: Value) => string | undefined,
): Value[] {
  const byId = new Map(values.map((value) => [idOf(value), value]));
  const done = new Set<Value>();
  const cyclic: Value[] = [];
  for (const start of byId.values()) {
    const path = new Map<Value, number>();
    let value: Value | undefined = start;
    while (value !== undefined && !done.has(value) && !path.has(value)) {
      path.set(value, path.size);
      const parent = parentOf(value);
      value = parent === undefined ? undefined : byId.get(parent);
    }
    const entered = value === undefined ? undefined : path.get(value);
    for (const [one, index] of path) {
      done.add(one);
      if (entered !== undefined && index >= entered) cyclic.push(one);
    }
  }
  return cyclic;
}
