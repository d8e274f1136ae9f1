import { fault } from '@hypostyle/vim';

/** Throws InvalidName for what can be no name of a datastore: datastore paths are written with it. */
export function checkDatastoreName(name: string): void {
  if (!/^[^/\\[\]%\u0000-\u001f]{1,80}$/.test(name))
    throw fault('InvalidName', { name: name.slice(0, 200) }, `'${name.slice(0, 80)}' is no name for a datastore.`);
}
