type Members = Readonly<Record<string, unknown>>;

/**
 * Keeps once what objects of a type have alike: thousands of machines have the same capabilities, controllers and
 * flags. Each value is compared with the last one of the same property only, which costs little and holds nothing else.
 */
export class AlikeValues {
  readonly #last = new Map<string, unknown>();

  /** The properties, with every part that equals the last object's as the very same value. */
  share(type: string, properties: Members): Record<string, unknown> {
    const shared: Record<string, unknown> = {};
    for (const name in properties) {
      const key = `${type}.${name}`;
      const value = alike(properties[name], this.#last.get(key));
      shared[name] = value;
      if (typeof value === 'object' && value !== null) this.#last.set(key, value);
    }
    return shared;
  }
}

/** `sample` where they are equal; else the value, with the parts that are equal out of `sample`. */
function alike(value: unknown, sample: unknown): unknown {
  if (typeof value !== 'object' || value === null || typeof sample !== 'object' || sample === null) return value;
  if (value === sample) return sample;
  if (!Array.isArray(value)) return Array.isArray(sample) ? value : alikeMembers(value as Members, sample as Members);
  return Array.isArray(sample) ? alikeList(value, sample) : value;
}

function alikeList(values: readonly unknown[], samples: readonly unknown[]): readonly unknown[] {
  let equal = values.length === samples.length;
  let copy: unknown[] | undefined;
  for (let index = 0; index < values.length; index += 1) {
    const [own, sample] = [values[index], samples[index]];
    const value = alike(own, sample);
    if (value !== sample) equal = false;
    if (value === own) continue;
    copy ??= values.slice();
    copy[index] = value;
  }
  return equal ? samples : (copy ?? values);
}

function alikeMembers(values: Members, samples: Members): Members {
  let equal = true;
  let count = 0;
  let others: Record<string, unknown> | undefined;
  for (const name in values) {
    count += 1;
    const [own, sample] = [values[name], samples[name]];
    const value = alike(own, sample);
    // A member that is unset equals only one that is there and unset: the sample may have another one in its place.
    if (value !== sample || (value === undefined && !Object.hasOwn(samples, name))) equal = false;
    if (value === own) continue;
    others ??= {};
    others[name] = value;
  }
  if (equal && count === Object.keys(samples).length) return samples;
  return others === undefined ? values : { ...values, ...others };
}
