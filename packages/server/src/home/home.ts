import { mkdir, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ServerError } from '../errors.ts';
import { makePrivateFolder } from './private-folder.ts';

/** Where everything of one server is. Only its owner may look inside. */
export interface Home {
  /** Absolute. */
  readonly directory: string;
  readonly tlsDirectory: string;
  /** Certificate of the authority that signed the server's own: what a client trusts. */
  readonly authorityFile: string;
  /** The administrator's password, made at the first start. */
  readonly passwordFile: string;
  /** What the host keeps. */
  readonly storeFile: string;
  /** What the center keeps. */
  readonly centerStoreFile: string;
  readonly datastoreDirectory: string;
  readonly logFile: string;
  readonly cacheDirectory: string;
  /** Which process serves this home, and where. */
  readonly recordFile: string;
}

export function homeAt(path: string): Home {
  const directory = resolve(path);
  return {
    directory,
    tlsDirectory: join(directory, 'tls'),
    authorityFile: join(directory, 'tls', 'ca.crt'),
    passwordFile: join(directory, 'password'),
    storeFile: join(directory, 'store', 'host.db'),
    centerStoreFile: join(directory, 'store', 'center.db'),
    datastoreDirectory: join(directory, 'datastores', 'datastore1'),
    logFile: join(directory, 'log', 'hypostyle.log'),
    cacheDirectory: join(directory, 'cache'),
    recordFile: join(directory, 'pid'),
  };
}

/** The home with its folders, made where they are missing. Throws `ServerError` `home-invalid`. */
export async function openHome(path: string): Promise<Home> {
  try {
    await makePrivateFolder(resolve(path));
    const home = homeAt(await realpath(path));
    for (const name of ['tls', 'store', 'log', 'cache']) await makePrivateFolder(join(home.directory, name));
    await mkdir(home.datastoreDirectory, { recursive: true, mode: 0o700 });
    return home;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ServerError('home-invalid', `${reason}. Choose another folder with --home.`, { cause: error });
  }
}
