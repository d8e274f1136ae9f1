import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** Drivers of everything that a virtual machine may be given, by their names. */
const wanted = [
  ...['virtio_pci', 'virtio_blk', 'virtio_scsi', 'virtio_net', 'virtio_console', 'virtio_balloon', 'virtio_rng'],
  ...['pcnet32', 'e1000', 'e1000e', 'vmxnet3'],
  ...['ata_piix', 'ahci', 'mptspi', 'mptsas', 'sym53c8xx', 'BusLogic', 'vmw_pvscsi', 'nvme', 'sd_mod', 'sr_mod'],
  ...['isofs', 'button', 'evdev', 'vmw_balloon', 'qemu_fw_cfg'],
];

export interface KernelModule {
  /** Path in the archive, such as `lib/modules/6.1.0-1-amd64/virtio_pci.ko`. */
  readonly path: string;
  readonly data: Uint8Array;
}

export interface KernelModules {
  readonly modules: readonly KernelModule[];
  /** Text of `modules.dep`: each module, and what to load before it. */
  readonly dependencies: string;
  /** Text of `modules.alias`: the names that buses give to devices. */
  readonly aliases: string;
  /** Wanted drivers that this kernel has neither as a module nor built in. */
  readonly missing: readonly string[];
}

/** Collects the drivers and all that they stand on, out of `lib/modules/<release>` of a kernel. */
export async function collectModules(folder: string, release: string): Promise<KernelModules> {
  const files = new Map(
    globSync('kernel/**/*.ko', { cwd: folder }).map((path) => [plainName(basename(path, '.ko')), join(folder, path)]),
  );
  const builtIn = new Set(
    (await readFile(join(folder, 'modules.builtin'), 'utf8'))
      .split('\n')
      .map((path) => plainName(basename(path, '.ko'))),
  );
  const missing = wanted.map(plainName).filter((name) => !files.has(name) && !builtIn.has(name));
  const found = new Map<string, { data: Buffer; depends: string[]; aliases: string[] }>();
  const add = async (name: string): Promise<void> => {
    const file = files.get(name);
    if (file === undefined || found.has(name)) return;
    const data = await readFile(file);
    const depends = moduleInfo(data, 'depends').flatMap((list) => list.split(',').filter(Boolean).map(plainName));
    found.set(name, { data, depends, aliases: moduleInfo(data, 'alias') });
    for (const each of depends) await add(each);
    // A module may also ask for another by name alone, as crc32c does.
    for (const soft of moduleInfo(data, 'softdep')) {
      for (const each of soft.replace(/\b(pre|post):/g, '').split(/\s+/)) await add(plainName(each));
    }
  };
  for (const name of wanted) await add(plainName(name));

  const names = [...found.keys()].sort();
  // What to load, in the order of loading: a module comes after all that it stands on.
  const loadOrder = (name: string, order = new Set<string>()): Set<string> => {
    for (const each of found.get(name)?.depends ?? []) {
      if (order.has(each) || !found.has(each)) continue;
      loadOrder(each, order);
      order.add(each);
    }
    return order;
  };
  return {
    modules: names.map((name) => ({
      path: `lib/modules/${release}/${name}.ko`,
      data: found.get(name)?.data ?? Buffer.alloc(0),
    })),
    // modprobe loads from the end of the line.
    dependencies: names
      .map((name) => `${[`${name}.ko:`, ...[...loadOrder(name)].reverse().map((each) => `${each}.ko`)].join(' ')}\n`)
      .join(''),
    aliases: names
      .flatMap((name) => (found.get(name)?.aliases ?? []).map((alias) => `alias ${alias} ${name}\n`))
      .join(''),
    missing,
  };
}

const plainName = (name: string): string => name.replaceAll('-', '_');

/** Values of one field of the `.modinfo` section: `name=value` texts that end with a zero byte. */
function moduleInfo(data: Buffer, field: string): string[] {
  const values: string[] = [];
  const start = Buffer.from(`\0${field}=`);
  for (let at = data.indexOf(start); at >= 0; at = data.indexOf(start, at + 1)) {
    const from = at + start.length;
    const to = data.indexOf(0, from);
    if (to > from) values.push(data.toString('latin1', from, to));
  }
  return values;
}
