import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type ArchiveEntry, cpioArchive } from './cpio.ts';
import type { DebianFiles } from './debian-files.ts';
import type { KernelModules } from './kernel-modules.ts';

const run = promisify(execFile);

/** Files of `guest/` and where they go. */
const guestFiles: readonly (readonly [string, string])[] = [
  ['init', 'init'],
  ['inittab.base', 'etc/inittab.base'],
  ['issue', 'etc/issue'],
  ...['console-shell', 'start-network', 'on-address', 'on-hotplug', 'read-properties', 'start-agent', 'shutdown'].map(
    (name) => [name, `sbin/${name}`] as const,
  ),
  // The name of the event that busybox acpid knows a pressed power button by.
  ['power-button', 'etc/acpi/PWRF/00000080'],
  ['index.cgi', 'www/cgi-bin/index.cgi'],
];

/** The root file system of the appliance as entries of an archive. */
export async function initrdEntries(
  debian: DebianFiles,
  release: string,
  modules: KernelModules,
): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  const file = (path: string, data: Uint8Array, mode = 0o644) => entries.push({ path, kind: 'file', mode, data });

  file('bin/busybox', await readFile(await debian.path('busybox-static', 'bin/busybox')), 0o755);
  entries.push({ path: 'bin/sh', kind: 'link', target: 'busybox' });
  for (const [name, path] of guestFiles) {
    file(path, await readFile(new URL(`./guest/${name}`, import.meta.url)), 0o755);
  }
  await addAgent(debian, file);
  for (const { path, data } of modules.modules) file(path, data);
  file(`lib/modules/${release}/modules.dep`, Buffer.from(modules.dependencies));
  file(`lib/modules/${release}/modules.alias`, Buffer.from(modules.aliases));
  // busybox looks for these, and says so when they are not there.
  file(`lib/modules/${release}/modules.symbols`, Buffer.alloc(0));
  file('etc/passwd', Buffer.from('root::0:0:root:/:/bin/sh\n'));
  file('etc/group', Buffer.from('root:x:0:\n'));
  entries.push({ path: 'dev/console', kind: 'device', major: 5, minor: 1 });
  return withFolders(entries);
}

/** An initrd that the kernel can load, made of entries. */
export const initrd = async (entries: readonly ArchiveEntry[]): Promise<Buffer> =>
  await promisify(gzip)(cpioArchive(entries), { level: 9 });

/** The guest agent and the libraries that it is linked with. */
async function addAgent(
  debian: DebianFiles,
  file: (path: string, data: Uint8Array, mode?: number) => void,
): Promise<void> {
  const agent = await debian.path('qemu-guest-agent', 'usr/sbin/qemu-ga');
  file('bin/qemu-ga', await readFile(agent), 0o755);
  const roots = new Set<string>();
  for (const name of await debian.dependenciesOf('qemu-guest-agent')) {
    if (name.startsWith('lib')) roots.add(await debian.rootOf(name));
  }
  const folders = [...roots].flatMap((root) =>
    ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map((folder) => join(root, folder)),
  );
  const { stdout } = await run('ldd', [agent], { env: { ...process.env, LD_LIBRARY_PATH: folders.join(':') } });
  const lost = /^\s*(\S+) => not found/m.exec(stdout)?.[1];
  if (lost !== undefined) throw new Error(`the guest agent needs ${lost}, which no package of this system brought`);
  for (const [, path = ''] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    const loader = basename(path).startsWith('ld-linux');
    file(loader ? `lib64/${basename(path)}` : `lib/x86_64-linux-gnu/${basename(path)}`, await readFile(path), 0o755);
  }
}

/** Puts each folder before what is in it. */
function withFolders(entries: readonly ArchiveEntry[]): ArchiveEntry[] {
  const folders = new Set<string>();
  const all: ArchiveEntry[] = [];
  for (const entry of entries) {
    const parts = entry.path.split('/').slice(0, -1);
    parts.forEach((_, index) => {
      const path = parts.slice(0, index + 1).join('/');
      if (folders.has(path)) return;
      folders.add(path);
      all.push({ path, kind: 'folder' });
    });
    all.push(entry);
  }
  return all;
}
