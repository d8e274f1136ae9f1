/** A step of a property path: a property's name, or the key of an array's element. */
export type PathStep = { readonly name: string } | { readonly key: string | number };

/** Longest path in characters. */
const longestPath = 1024;
/** Most steps of one path. */
const mostSteps = 32;

const nameStep = /[A-Za-z_][A-Za-z0-9_]*/y;
const integerKey = /\[(-?[0-9]{1,15})\]/y;
const stringKey = /\["((?:[^"\\]|\\.)*)"\]/sy;

/**
 * Reads a property path: `config.hardware.device[2000].backing`, `config.extraConfig["guestinfo.x"].value`.
 *
 * Undefined where it is none, or is longer than 1,024 characters or 32 steps.
 */
export function parsePropertyPath(text: string): readonly PathStep[] | undefined {
  if (text.length > longestPath) return undefined;
  const steps: PathStep[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    at = pattern.lastIndex;
    return match[1] ?? match[0];
  };
  do {
    if (steps.length > 0) at += 1;
    const name = take(nameStep);
    if (name === undefined) return undefined;
    steps.push({ name });
    while (text[at] === '[') {
      const integer = take(integerKey);
      const key = integer === undefined ? unescaped(take(stringKey)) : Number(integer);
      if (key === undefined) return undefined;
      steps.push({ key });
      if (steps.length > mostSteps) return undefined;
    }
    if (steps.length > mostSteps) return undefined;
  } while (text[at] === '.');
  return at === text.length ? steps : undefined;
}

/** The path of an element: `keyedPath('device', 2000)` is `device[2000]`. */
export function keyedPath(path: string, key: string | number): string {
  return typeof key === 'number' ? `${path}[${key}]` : `${path}["${key.replace(/[\\"]/g, '\\$&')}"]`;
}

function unescaped(text: string | undefined): string | undefined {
  return text?.replace(/\\(.)/gs, '$1');
}
