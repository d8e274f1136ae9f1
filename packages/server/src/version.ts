import { readFileSync } from 'node:fs';

/** This program's version, such as `0.1.0`. */
export const serverVersion: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
