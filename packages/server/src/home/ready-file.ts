import { resolve } from 'node:path';
import { writePrivateFile } from './private-file.ts';

/** What somebody needs who started the server and wants to use it. */
export interface ReadyMessage {
  readonly url: string;
  /** The host's own address, where `url` is its center's. */
  readonly hostUrl?: string;
  readonly username: string;
  readonly password: string;
  readonly pid: number;
}

/** Writes the message as one JSON object, at once and readable to the owner alone. */
export async function writeReadyFile(path: string, message: ReadyMessage): Promise<void> {
  await writePrivateFile(resolve(path), `${JSON.stringify(message)}\n`);
}
