import { CliError } from '../errors.ts';
import { decodeName, encodeName } from './inventory.ts';

/** Where something new goes, by what a person writes: `/Datacenter/vm/web`, `vm/web`, or a name alone. */
export interface NewPlace {
  /** Path of what it goes into, as written; undefined for a name alone. */
  readonly parent: string | undefined;
  /** As people read it. */
  readonly name: string;
  /** As servers take it. */
  readonly encoded: string;
}

/** Throws `usage` where there is no name. */
export function parseNewPlace(text: string): NewPlace {
  const path = text.replace(/\/+$/, '');
  const slash = path.lastIndexOf('/');
  const name = decodeName(path.slice(slash + 1));
  if (name === '') {
    throw new CliError('usage', `'${text}' is no name.`, {
      next: "Write a path such as /Datacenter/vm/web, with a '/' within a name as %2f.",
    });
  }
  return { parent: slash < 0 ? undefined : path.slice(0, slash) || '/', name, encoded: encodeName(name) };
}
