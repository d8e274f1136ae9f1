import { execFile } from 'node:child_process';
import { copyFile, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BootDiskRecipe, bootDisk, builtOnce, guestModules, kernelParameters } from './bootable-disk.ts';
import { guestInitScript } from './guest-init.ts';

const run = promisify(execFile);

/** The first line makes the boot loader's screen go to the first serial port too. */
const entry = (label: string, parameters: string) =>
  `LABEL ${label}\nKERNEL /vmlinuz\nINITRD /initrd.gz\nAPPEND ${parameters}\n`;
const discConfig = `SERIAL 0 115200\nPROMPT 1\nTIMEOUT 0\nDEFAULT none\nSAY To install, type: install hostname=NAME\n${entry('install', `${kernelParameters} install`)}`;
const diskConfig = `DEFAULT linux\nPROMPT 0\n${entry('linux', kernelParameters)}`;

/**
 * What the guest does before its agent runs. With `install` on its command line it copies the disc's system to the first
 * disk, has that start without a question, writes `hostname=` there, and restarts. Else it reads who it is: from a
 * medium such as cloud-init looks for, of which it knows the name and a fixed address, or from its disk.
 */
const installedSystem = `
mkdir -p /media /disk
printf '#!/bin/sh\\n[ "$1" = bound ] && ip addr add $ip/$mask dev $interface\\n' >/bin/leased
chmod 755 /bin/leased
say() { echo "$1"; echo "$1" >/dev/ttyS0; }
if grep -qw install /proc/cmdline; then
  say INSTALLING
  mount -t iso9660 -o ro /dev/sr0 /media && dd if=/media/boot.img of=/dev/sda bs=1M 2>/dev/null && sync &&
    blockdev --rereadpt /dev/sda && mount -t vfat /dev/sda1 /disk && cp /disk/disk.cfg /disk/syslinux.cfg || {
    say 'INSTALLATION FAILED'
    while true; do sleep 60; done
  }
  for word in $(cat /proc/cmdline); do
    case "$word" in hostname=*) echo "\${word#hostname=}" >/disk/hostname ;; esac
  done
  umount /disk && sync
  say INSTALLED
  reboot -f
fi
mount -t vfat /dev/sda1 /disk
address=
for disc in /dev/sr*; do
  mount -t iso9660 -o ro $disc /media 2>/dev/null || continue
  if [ -f /media/meta-data ]; then
    sed -n 's/.*"local-hostname": *"\\([^"]*\\)".*/\\1/p' /media/meta-data >/disk/hostname
    address=$(grep -o '[0-9.]*/[0-9][0-9]*' /media/network-config 2>/dev/null | head -n 1)
    sync
  fi
  umount /media
done
[ -s /disk/hostname ] && hostname "$(cat /disk/hostname)"
ip link set eth0 up
if [ -n "$address" ]; then ip addr add "$address" dev eth0; else
  (until udhcpc -i eth0 -q -n -s /bin/leased; do sleep 1; done) >/dev/null 2>&1 &
fi
`;

const recipe: BootDiskRecipe = {
  initScript: guestInitScript(installedSystem),
  modules: [...guestModules, 'vmxnet3', 'isofs', 'nls_cp437', 'nls_ascii', 'vfat'],
  agent: true,
  diskBytes: 32 << 20,
  files: { 'syslinux.cfg': discConfig, 'disk.cfg': diskConfig },
};

/**
 * Path of an ISO 9660 image that starts by BIOS, shows `boot:` and waits for what is typed: `install hostname=NAME` puts
 * its system on the first disk, which must have 32 MiB, and starts that. The system keeps files in `/disk`, has the
 * guest agent, and asks DHCP for an address. Needs Debian's genisoimage beside what `bootableDisk` needs.
 */
export function installerDisc(): Promise<string> {
  return builtOnce({ recipe, ending: 'iso' }, async (work) => {
    const tree = join(work, 'tree');
    await mkdir(tree);
    const image = join(tree, 'boot.img');
    await copyFile(await bootDisk(recipe), image);
    await countInCylinders(image);
    const disc = join(work, 'installer.iso');
    const boot = ['-b', 'boot.img', '-c', 'boot.cat', '-hard-disk-boot'];
    await run('genisoimage', ['-quiet', '-R', '-V', 'INSTALLER', ...boot, '-o', disc, tree]);
    return disc;
  });
}

/**
 * Writes the ends of the only partition as cylinders of 64 heads with 32 sectors: of a disc that stands for a hard disk
 * (El Torito), the firmware takes the geometry from there.
 */
async function countInCylinders(image: string): Promise<void> {
  const lastCylinder = (recipe.diskBytes >> 20) - 1;
  const file = await open(image, 'r+');
  try {
    // It begins with the second mebibyte, which is one cylinder, and ends with the image.
    await file.write(Buffer.from([0, 1, 1]), 0, 3, 446 + 1);
    await file.write(Buffer.from([63, 32, lastCylinder]), 0, 3, 446 + 5);
  } finally {
    await file.close();
  }
}
