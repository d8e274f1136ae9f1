import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const cache = fileURLToPath(new URL('../../.cache/', import.meta.url));
const mebibyte = 2 ** 20;
const diskBytes = 1024 * mebibyte;
/** The partition begins at 1 MiB, as partitioning tools align it; the boot loader lies before it. */
const partitionBytes = mebibyte;
const contentBytes = 3_000_000;

const release = 'bookworm';
/** What it has beside what every Debian has: a kernel, what makes its initial file system, systemd, and GRUB. */
const included = 'linux-image-cloud-amd64,initramfs-tools,zstd,systemd-sysv,udev,grub-pc-bin,grub2-common';

/** What it says on its serial port at user space: the device of its root, and the SHA-256 of a file of its own. */
const script = `#!/bin/sh
exec >/dev/ttyS0 2>&1
echo "installed: $(findmnt -n -o SOURCE /) $(sha256sum /srv/content | cut -d' ' -f1)"
`;
const files: Readonly<Record<string, string>> = {
  'etc/hostname': 'installed\n',
  'etc/fstab': '/dev/sda1 / ext4 errors=remount-ro 0 1\n',
  // Modules of its own disk alone: virt-v2v adds those of the new one, and what it makes anew it makes quickly.
  'etc/initramfs-tools/conf.d/modules': 'MODULES=list\n',
  'etc/initramfs-tools/modules': 'vmw_pvscsi\nsd_mod\next4\n',
  'etc/default/grub':
    'GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX="console=ttyS0"\nGRUB_TERMINAL=console\n',
  'boot/grub/grub.cfg': `set timeout=0
insmod part_msdos
insmod ext2
set root='hd0,msdos1'
menuentry 'Debian' {
  linux /vmlinuz root=/dev/sda1 ro console=ttyS0
  initrd /initrd.img
}
`,
  'etc/systemd/system/installed.service': `[Service]
Type=oneshot
ExecStart=/usr/local/sbin/installed
[Install]
WantedBy=multi-user.target
`,
  'usr/local/sbin/installed': script,
};

/** Why an installed system cannot be made here, or nothing. */
export function missingForInstalledLinux(): string | undefined {
  if (process.getuid?.() !== 0) return 'debootstrap installs a system as root only';
  const absent = ['debootstrap', 'mkfs.ext4', 'sfdisk'].filter(
    (name) => !existsSync(`/usr/sbin/${name}`) && !existsSync(`/sbin/${name}`),
  );
  return absent.length === 0
    ? undefined
    : `${absent.join(' and ')} is not installed: node scripts/debian-packages.mjs guestfs`;
}

/** The file in it whose bytes it tells at user space. */
export const installedContent = createHash('shake256', { outputLength: contentBytes })
  .update('what is installed')
  .digest();

/**
 * A raw disk with Debian installed on it, as its installer leaves it: one partition, kernel, initial file system, GRUB,
 * packages. It is made once, which takes minutes and the network, and kept in `.cache`; only read it.
 */
export async function installedLinux(): Promise<string> {
  const recipe = JSON.stringify([release, included, files, diskBytes]);
  const path = join(cache, `installed-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}.raw`);
  if (existsSync(path)) return path;
  await mkdir(cache, { recursive: true });
  const scratch = await mkdtemp(join(cache, 'installing-'));
  try {
    const root = join(scratch, 'root');
    await execute('debootstrap', ['--variant=minbase', `--include=${included}`, release, root], {
      env: { ...process.env, PATH: systemPath },
      timeout: 1_200_000,
      maxBuffer: 64 * mebibyte,
    });
    await configure(root);
    await writeDisk(root, join(scratch, 'disk.raw'), join(scratch, 'fs.raw'));
    await rename(join(scratch, 'disk.raw'), path);
  } finally {
    // What a debootstrap that failed left mounted is not deleted with it.
    spawnSync('umount', ['-l', join(scratch, 'root/proc'), join(scratch, 'root/sys')]);
    await rm(scratch, { recursive: true, force: true });
  }
  return path;
}

const systemPath = '/usr/sbin:/usr/bin:/sbin:/bin';

async function configure(root: string): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(root, name, '..'), { recursive: true });
    await writeFile(join(root, name), text);
  }
  await chmod(join(root, 'usr/local/sbin/installed'), 0o755);
  await writeFile(join(root, 'srv/content'), installedContent);
  const inside = (...words: string[]) =>
    execute('chroot', [root, ...words], { env: { PATH: systemPath, LC_ALL: 'C' }, timeout: 300_000 });
  await inside('systemctl', 'enable', 'installed.service');
  await inside('update-initramfs', '-u');
  await inside('cp', '-r', '/usr/lib/grub/i386-pc', '/boot/grub/');
  await inside(
    ...['grub-mkimage', '-O', 'i386-pc', '-p', '(hd0,msdos1)/boot/grub', '-o', '/boot/grub/i386-pc/core.img'],
    ...['biosdisk', 'part_msdos', 'ext2', 'normal', 'configfile', 'linux'],
  );
  await inside('apt-get', 'clean');
  await rm(join(root, 'var/lib/apt/lists'), { recursive: true, force: true });
}

/** A file system of the folder in one partition, with GRUB in front of it. */
async function writeDisk(root: string, path: string, scratch: string): Promise<void> {
  await writeFile(scratch, '');
  await truncate(scratch, diskBytes - partitionBytes);
  const features = '^metadata_csum_seed,^orphan_file';
  await execute('mkfs.ext4', ['-q', '-O', features, '-d', root, scratch], {
    env: { PATH: systemPath },
    timeout: 300_000,
  });
  await writeFile(path, '');
  await truncate(path, diskBytes);
  spawnSync('/sbin/sfdisk', ['--quiet', path], {
    input: `label: dos\nstart=${partitionBytes / 512}, type=83, bootable\n`,
    env: { PATH: systemPath },
  });
  const grub = (name: string) => readFile(join(root, 'boot/grub/i386-pc', name));
  const disk = await open(path, 'r+');
  try {
    // The table of partitions, behind the first 440 bytes, stays; GRUB finds its core in the sectors behind the first.
    await disk.write(await grub('boot.img'), 0, 440, 0);
    await disk.write(await grub('core.img'), 0, undefined, 512);
  } finally {
    await disk.close();
  }
  const copy = [`if=${scratch}`, `of=${path}`, 'bs=1M', `seek=${partitionBytes / mebibyte}`, 'conv=sparse,notrunc'];
  await execute('dd', copy, { timeout: 300_000 });
}
