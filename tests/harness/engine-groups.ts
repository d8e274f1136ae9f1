import { access, readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

const mount = '/sys/fs/cgroup';

/** Control groups of the hosts whose machine a process is, by their paths: one for each hierarchy that holds it. */
export async function hostGroupsOf(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
  const paths = text.split('\n').flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*\/hypostyle-[0-9a-f]{8})(?:\/|$)/.exec(line) ?? [];
    if (path === '') return [];
    // One hierarchy of version 1 is there by the names of each of its controllers.
    return ['', 'unified', controllers, ...controllers.split(',')].map((name) => join(mount, name, path));
  });
  const there = await Promise.all(
    paths.map((path) =>
      access(path).then(
        () => [path],
        () => [],
      ),
    ),
  );
  return [...new Set(there.flat())];
}

/** Removes a group with those in it, as far as nothing runs there. */
export async function removeGroup(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true }).catch(() => []))
    if (entry.isDirectory()) await removeGroup(join(path, entry.name));
  await rmdir(path).catch(() => {});
}
