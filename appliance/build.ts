/**
 * Builds the demo appliance: a small Linux on a disk that boots from any virtual controller, as an OVA.
 *
 *     node appliance/build.ts [file.ova]
 *
 * Needs no root and mounts nothing. The result is kept under `.cache/appliance/<hash of the inputs>`.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, globSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { writeOva } from '@hypostyle/ovf';
import { writeStreamOptimized } from '@hypostyle/vmdk';
import { writeBootDisk } from './boot-disk.ts';
import { cpioArchive } from './cpio.ts';
import { DebianFiles } from './debian-files.ts';
import { descriptorOf } from './descriptor.ts';
import { initrd, initrdEntries } from './initrd.ts';
import { collectModules } from './kernel-modules.ts';

const name = 'hypostyle-demo';
const mebibyte = 1024 ** 2;
const capacityBytes = 64 * mebibyte;
const memoryMegabytes = 256;
/** The serial port is the console; under emulation the timer check of the kernel may fail on a busy machine. */
const commandLine = 'console=tty0 console=ttyS0 quiet no_timer_check';

export interface Appliance {
  /** Folder with all of the below, named by the hash of what they were made of. */
  readonly folder: string;
  readonly ova: string;
  readonly ovf: string;
  /** streamOptimized, as in the OVA. */
  readonly vmdk: string;
  /** Drivers that the kernel lacks: empty unless only Debian's cloud kernel could be had. */
  readonly missingDrivers: readonly string[];
}

export interface BuildOptions {
  /** Where results and downloaded packages are kept. Default `.cache` of the project. */
  readonly cacheFolder?: string;
  /** Told what takes long. Default silent. */
  readonly log?: (line: string) => void;
}

/** Builds the appliance, or answers the one built before of the same inputs. */
export async function buildAppliance(options: BuildOptions = {}): Promise<Appliance> {
  const { cacheFolder = fileURLToPath(new URL('../.cache/', import.meta.url)), log = () => {} } = options;
  const debian = new DebianFiles(join(cacheFolder, 'debian'), log);
  const kernel = await findKernel(debian, log);
  const modules = await collectModules(kernel.modules, kernel.release);
  const entries = await initrdEntries(debian, kernel.release, modules);
  const image = await readFile(kernel.image);

  const hash = createHash('sha256').update(cpioArchive(entries)).update(image);
  for (const source of globSync('*.ts', { cwd: import.meta.dirname }).sort()) {
    if (!source.endsWith('.test.ts')) hash.update(await readFile(join(import.meta.dirname, source)));
  }
  const folder = join(cacheFolder, 'appliance', hash.digest('hex').slice(0, 16));
  const appliance: Appliance = {
    folder,
    ova: join(folder, `${name}.ova`),
    ovf: join(folder, `${name}.ovf`),
    vmdk: join(folder, `${name}-disk1.vmdk`),
    missingDrivers: modules.missing,
  };
  if (existsSync(appliance.ova)) return appliance;

  log(`building the appliance on Linux ${kernel.release}`);
  await mkdir(dirname(folder), { recursive: true });
  const work = await mkdtemp(`${folder}.building-`);
  try {
    const raw = join(work, 'disk.raw');
    const scratch = join(work, 'boot');
    const made = join(work, 'made');
    for (const each of [scratch, made]) await mkdir(each);
    const packed = await initrd(entries);
    await writeBootDisk(debian, { path: raw, capacityBytes, kernel: image, initrd: packed, commandLine, scratch });
    await packageDisk(raw, made);
    // A build that ran at the same time made the same.
    await rename(made, folder).catch((error: unknown) => {
      if (!existsSync(appliance.ova)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return appliance;
}

interface Kernel {
  readonly release: string;
  readonly image: string;
  readonly modules: string;
}

/**
 * Debian's kernel with all drivers; where it cannot be had, the cloud kernel of the system, which lacks some.
 */
async function findKernel(debian: DebianFiles, log: (line: string) => void): Promise<Kernel> {
  try {
    return await kernelOf(debian, 'linux-image-amd64');
  } catch (error) {
    const kernel = await kernelOf(debian, 'linux-image-cloud-amd64').catch(() => undefined);
    if (kernel === undefined) throw error;
    log(`using the cloud kernel, which has few drivers: ${error instanceof Error ? error.message : String(error)}`);
    return kernel;
  }
}

async function kernelOf(debian: DebianFiles, metaPackage: string): Promise<Kernel> {
  const [imagePackage] = (await debian.dependenciesOf(metaPackage)).filter((each) => each.startsWith('linux-image-'));
  if (imagePackage === undefined) throw new Error(`apt knows no kernel behind ${metaPackage}`);
  const release = imagePackage.replace('linux-image-', '');
  const root = await debian.rootOf(imagePackage);
  const [image] = (await readdir(join(root, 'boot'))).filter((file) => file === `vmlinuz-${release}`);
  if (image === undefined) throw new Error(`${imagePackage} has no boot/vmlinuz-${release}`);
  const folders = ['lib/modules', 'usr/lib/modules'].map((each) => join(root, each, release));
  const modules = folders.find((each) => existsSync(each));
  if (modules === undefined) throw new Error(`${imagePackage} has no modules`);
  return { release, image: join(root, 'boot', image), modules };
}

async function packageDisk(raw: string, folder: string): Promise<void> {
  const diskFile = `${name}-disk1.vmdk`;
  const blocks = async function* () {
    let offset = 0;
    for await (const data of createReadStream(raw, { highWaterMark: mebibyte }) as AsyncIterable<Buffer>) {
      yield { offset, data };
      offset += data.length;
    }
  };
  const source = { virtualBytes: capacityBytes, blocks: blocks() };
  const stream = writeStreamOptimized(source, { name: diskFile, contentId: 0x48594f53 });
  await pipeline(Readable.from(stream), createWriteStream(join(folder, diskFile)));

  const disk = join(folder, diskFile);
  const { size } = await stat(disk);
  const descriptor = descriptorOf({ name, diskFile, diskFileBytes: size, capacityBytes, memoryMegabytes });
  await writeFile(join(folder, `${name}.ovf`), descriptor);
  await writeOva(createWriteStream(join(folder, `${name}.ova`)), {
    descriptorName: `${name}.ovf`,
    descriptor,
    files: [{ name: diskFile, size, open: () => createReadStream(disk) }],
    manifestAt: 'start',
  });
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === import.meta.filename) {
  const { ova, missingDrivers } = await buildAppliance({ log: (line) => console.error(line) });
  if (missingDrivers.length > 0) console.error(`without the drivers ${missingDrivers.join(', ')}`);
  const wanted = process.argv[2];
  if (wanted !== undefined) await copyFile(ova, wanted);
  console.log(wanted ?? ova);
}
