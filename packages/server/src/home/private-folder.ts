import { chmod, lstat, mkdir } from 'node:fs/promises';

/** Makes a folder of mode 0700, or takes one that is there and ours. Throws an `Error` that says whose it is. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const stats = await lstat(path);
  if (!stats.isDirectory()) throw new Error(`${path} is not a folder`);
  const user = process.getuid?.();
  if (user !== undefined && stats.uid !== user) {
    throw new Error(`${path} belongs to user ${stats.uid}, and this process runs as user ${user}`);
  }
  if ((stats.mode & 0o077) !== 0) await chmod(path, 0o700);
}
