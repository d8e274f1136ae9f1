import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { guestInitScript } from './guest-init.ts';

const run = promisify(execFile);
const compress = promisify(gzip);

/** Changes when the same options give another disk. */
const buildFormat = 4;
/** First partition, in sectors of 512 bytes. */
const partitionSector = 2048;
const defaultCacheDirectory = join(tmpdir(), `hypostyle-guests-${userInfo().uid}`);
/** The second line is work that a guest which lives for seconds has nothing of. */
export const kernelParameters = [
  'quiet loglevel=1 no_timer_check panic=-1 console=tty0',
  'cryptomgr.notests noxsave nokaslr mitigations=off init_on_alloc=0',
].join(' ');
const bootCodePath = '/usr/lib/syslinux/mbr/mbr.bin';
const busyboxPath = '/usr/bin/busybox';
/** Folders in which Debian's packages lie unpacked, where they are not installed. */
const partFolders = [...(process.env.HYPOSTYLE_GUEST_PARTS?.split(':').filter(Boolean) ?? []), '/'];
/** Loaded at boot, in this order, with what they need. */
export const guestModules: readonly string[] = [
  'virtio_pci',
  'virtio_console',
  'virtio_net',
  'virtio_balloon',
  'vmw_pvscsi',
  'ata_piix',
  'sd_mod',
  'sr_mod',
  'evdev',
  'button',
  'qemu_fw_cfg',
];

export interface BootableDiskOptions {
  /** Has the QEMU guest agent, which starts when its port is there. */
  readonly agent?: boolean;
  /** Keeps built disks by content. Default: a folder of this user under the system's temporary folder. */
  readonly cacheDirectory?: string;
}

/**
 * A small Linux disk that boots by BIOS or EFI: Debian's cloud kernel and busybox, all in memory. On the first serial
 * port it says `READY <uuid>` and then answers commands: see `GuestConsole`.
 * The answer is a raw image of 64 MiB to be read only: put a delta on top of it, or copy it.
 * Needs Debian's busybox-static, syslinux, mtools, fdisk and cpio, and linux-image-cloud-amd64 (and qemu-guest-agent),
 * installed or unpacked in the folders that `HYPOSTYLE_GUEST_PARTS` lists.
 */
export function bootableDisk(options: BootableDiskOptions = {}): Promise<string> {
  return bootDisk(
    {
      initScript: guestInitScript(),
      modules: guestModules,
      agent: options.agent ?? false,
      diskBytes: 64 << 20,
      files: {
        'syslinux.cfg': `DEFAULT linux\nPROMPT 0\nLABEL linux\nKERNEL /vmlinuz\nINITRD /initrd.gz\nAPPEND ${kernelParameters}\n`,
        'startup.nsh': `vmlinuz initrd=\\initrd.gz ${kernelParameters}\r\n`,
      },
    },
    options.cacheDirectory,
  );
}

/** What a disk is made of, beside the kernel: equal recipes give one disk. */
export interface BootDiskRecipe {
  readonly initScript: string;
  readonly modules: readonly string[];
  readonly agent: boolean;
  readonly diskBytes: number;
  /** Text files of the only partition, `syslinux.cfg` among them, beside `/vmlinuz` and `/initrd.gz`. */
  readonly files: Readonly<Record<string, string>>;
}

/** Path of the disk of a recipe, made where it is not kept yet. */
export function bootDisk(recipe: BootDiskRecipe, cacheDirectory = defaultCacheDirectory): Promise<string> {
  return builtOnce({ recipe, cacheDirectory, ending: 'img' }, async (work) => {
    const kernel = await findKernel();
    const disk = join(work, 'disk.img');
    const initrd = await buildInitrd({ work, kernel, recipe });
    await writeDisk({ disk, work, kernel: kernel.image, initrd, recipe });
    return disk;
  });
}

/** Keeps what is made of a recipe by its content and an ending of its name. */
export async function builtOnce(
  options: {
    readonly recipe: BootDiskRecipe;
    readonly cacheDirectory?: string | undefined;
    readonly ending: string;
  },
  build: (work: string) => Promise<string>,
): Promise<string> {
  const { recipe, cacheDirectory: folder = defaultCacheDirectory, ending } = options;
  const kernel = await findKernel();
  const agentPath = recipe.agent ? await findAgent() : undefined;
  const sources = await Promise.all([kernel.image, busyboxPath, ...(agentPath ? [agentPath] : [])].map(fingerprint));
  const content = JSON.stringify([buildFormat, recipe, sources]);
  const path = join(folder, `${createHash('sha256').update(content).digest('hex').slice(0, 24)}.${ending}`);
  if (await exists(path)) return path;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const work = await mkdtemp(join(folder, 'build-'));
  try {
    // Two builders may meet: both make the same.
    await rename(await build(work), path);
    return path;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface Kernel {
  readonly image: string;
  readonly modules: string;
}

async function findKernel(): Promise<Kernel> {
  for (const folder of partFolders) {
    const names = (await readdir(join(folder, 'boot')).catch(() => [])).filter((name) =>
      /^vmlinuz-.*-cloud-amd64$/.test(name),
    );
    const name = names.sort().at(-1);
    if (name === undefined) continue;
    const modules = join(folder, 'lib/modules', name.slice(name.indexOf('-') + 1));
    return { image: join(folder, 'boot', name), modules };
  }
  throw new Error("there is no Debian cloud kernel: run the tests by 'npm test', which downloads one");
}

async function findAgent(): Promise<string> {
  for (const folder of partFolders) {
    const path = join(folder, 'usr/sbin/qemu-ga');
    if (await exists(path)) return path;
  }
  throw new Error("there is no QEMU guest agent: run the tests by 'npm test', which downloads one");
}

async function fingerprint(path: string): Promise<readonly [string, number, number]> {
  const { size, mtimeMs } = await stat(path);
  return [path, size, mtimeMs];
}

async function buildInitrd(options: {
  readonly work: string;
  readonly kernel: Kernel;
  readonly recipe: BootDiskRecipe;
}): Promise<string> {
  const { recipe } = options;
  const root = join(options.work, 'root');
  for (const folder of ['bin', 'dev', 'proc', 'sys', 'tmp', 'var/run', 'etc', 'modules']) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await copyFile(busyboxPath, join(root, 'bin/busybox'));
  await symlink('busybox', join(root, 'bin/sh'));
  await writeFile(join(root, 'init'), recipe.initScript, { mode: 0o755 });
  await writeFile(join(root, 'etc/os-release'), 'ID=hypostyle-test\nPRETTY_NAME="Hypostyle test guest"\n');
  const loaded = await moduleFiles(options.kernel.modules, recipe.modules);
  for (const [index, file] of loaded.entries()) {
    // Numbered, so that the shell's order of names is the order of loading.
    await writeFile(join(root, 'modules', `${String(index).padStart(2, '0')}.ko`), unsigned(await readFile(file)));
  }
  if (recipe.agent) await copyProgram(await findAgent(), root);
  const names = (await readdir(root, { recursive: true })).sort();
  const archive = await runWithInput('cpio', ['--create', '--format=newc', '--quiet'], `${names.join('\n')}\n`, root);
  const path = join(options.work, 'initrd.gz');
  await writeFile(path, await compress(archive, { level: 6 }));
  return path;
}

/** Module files in an order in which each finds what it needs; those built into the kernel are left out. */
async function moduleFiles(folder: string, modules: readonly string[]): Promise<string[]> {
  const needs = new Map<string, string[]>();
  for (const line of (await readFile(join(folder, 'modules.dep'), 'utf8')).split('\n')) {
    const [file, list] = line.split(':');
    if (file && list !== undefined) needs.set(file, list.trim().split(' ').filter(Boolean));
  }
  const files: string[] = [];
  for (const module of modules) {
    const file = [...needs.keys()].find((name) => name.endsWith(`/${module}.ko`));
    if (!file) continue;
    for (const name of [...(needs.get(file) ?? []).reverse(), file]) if (!files.includes(name)) files.push(name);
  }
  return files.map((file) => join(folder, file));
}

/** A kernel module without its signature: checking one takes an emulated processor a tenth of a second. */
function unsigned(module: Buffer): Buffer {
  const at = module.lastIndexOf('~Module signature appended~');
  if (at < 12) return module;
  // Before the words are 12 bytes; the last four of them are the length of the signature before those.
  return module.subarray(0, at - 12 - module.readUInt32BE(at - 4));
}

/** Copies a program with the shared libraries that it names, each to the path that it has when it is installed. */
async function copyProgram(program: string, root: string): Promise<void> {
  const libraryFolders = partFolders.flatMap((folder) =>
    ['usr/lib', 'lib'].map((name) => join(folder, name, 'x86_64-linux-gnu')),
  );
  const { stdout } = await run('ldd', [program], {
    env: { ...process.env, LD_LIBRARY_PATH: libraryFolders.join(':') },
  });
  const libraries = stdout.split('\n').flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  for (const file of [program, ...libraries]) {
    const installed =
      partFolders
        .filter((folder) => folder !== '/' && file.startsWith(`${folder}/`))
        .map((folder) => file.slice(folder.length))[0] ?? file;
    await mkdir(join(root, dirname(installed)), { recursive: true });
    await copyFile(file, join(root, installed));
  }
}

async function writeDisk(options: {
  readonly disk: string;
  readonly work: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly recipe: BootDiskRecipe;
}): Promise<void> {
  const { disk, work } = options;
  const { files, diskBytes } = options.recipe;
  const file = await open(disk, 'wx');
  try {
    await file.truncate(diskBytes);
  } finally {
    await file.close();
  }
  await runWithInput('sfdisk', ['--quiet', disk], `label: dos\nstart=${partitionSector}, type=e, bootable\n`);
  const image = `${disk}@@${partitionSector * 512}`;
  // A fixed serial number makes equal disks equal.
  await run('mformat', ['-i', image, '-N', '12345678', '-T', `${diskBytes / 512 - partitionSector}`, '::']);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(work, name), text);
    await run('mcopy', ['-i', image, join(work, name), `::/${name}`]);
  }
  for (const [from, to] of [
    [options.initrd, '::/initrd.gz'],
    [options.kernel, '::/vmlinuz'],
  ] as const) {
    await run('mcopy', ['-i', image, from, to]);
  }
  await run('syslinux', ['--install', '--offset', `${partitionSector * 512}`, disk]);
  const bootCode = await readFile(bootCodePath);
  const boot = await open(disk, 'r+');
  try {
    await boot.write(bootCode, 0, Math.min(bootCode.length, 440), 0);
    await boot.sync();
  } finally {
    await boot.close();
  }
}

/** Runs a program with text as its input; its output, or an error with what it said. */
function runWithInput(program: string, args: readonly string[], input: string, cwd?: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { encoding: 'buffer', maxBuffer: 256 << 20, ...(cwd ? { cwd } : {}) } as const;
    const child = execFile(program, args, options, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    child.stdin?.end(input);
  });
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
