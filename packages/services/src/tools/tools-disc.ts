import { writeIso } from '@hypostyle/ovf';

/**
 * Installs and starts the guest's own agent. Distributions that close operations in guests (Red Hat's) have them opened
 * where that is asked for: whoever may use them can then do what a sign-in of the guest can.
 */
const installScript = `#!/bin/sh
# Installs the QEMU guest agent from this system's own packages, and starts it.
# sh install.sh [--allow-operations]
#   --allow-operations  also where the distribution closes programs and files to the agent (Red Hat and its kin)
set -u
allow=no
for word in "$@"; do
  case $word in
    --allow-operations) allow=yes ;;
    *) echo "usage: sh install.sh [--allow-operations]" >&2; exit 2 ;;
  esac
done
[ "$(id -u)" = 0 ] || { echo "Run this as root." >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
if ! have qemu-ga; then
  if have apt-get; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y qemu-guest-agent ||
      { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y qemu-guest-agent; }
  elif have dnf; then dnf install -y qemu-guest-agent
  elif have yum; then yum install -y qemu-guest-agent
  elif have zypper; then zypper --non-interactive install qemu-guest-agent
  elif have apk; then apk add qemu-guest-agent
  elif have pacman; then pacman -S --noconfirm qemu-guest-agent
  else
    echo "No package manager that is known here: install the package with qemu-ga by hand." >&2
    exit 1
  fi || { echo "The package qemu-guest-agent could not be installed." >&2; exit 1; }
fi
if [ $allow = yes ] && [ -f /etc/sysconfig/qemu-ga ]; then
  sed -i.hypostyle -e 's/^\\(BLACKLIST_RPC\\|BLOCK_RPCS\\|FILTER_RPC_ARGS\\)=.*/# &/' /etc/sysconfig/qemu-ga
fi
if have systemctl && [ -d /run/systemd/system ]; then
  systemctl enable qemu-guest-agent >/dev/null 2>&1
  systemctl restart qemu-guest-agent
elif have rc-update; then
  rc-update add qemu-guest-agent default && rc-service qemu-guest-agent restart
elif have service; then
  service qemu-guest-agent restart
else
  echo "Start qemu-ga at each start of the system." >&2
fi || { echo "The agent could not be started." >&2; exit 1; }
echo "The guest agent runs."
`;

const readme = `Tools for guests of Hypostyle

Linux: as root
  mount -o ro /dev/cdrom /mnt && sh /mnt/install.sh; umount /mnt
installs qemu-guest-agent from the system's own packages, and starts it. It needs the system's package sources.

Windows: install qemu-ga from the virtio-win drivers (virtio-win-guest-tools.exe), which is not on this disc.

What the agent is for: addresses and names shown outside, an orderly shutdown, quiesced snapshots, programs and files by
those who may sign in to the guest.
`;

/** The disc that MountToolsInstaller puts into a machine's drive: a few kilobytes, always the same. */
export function toolsDiscImage(): Uint8Array {
  return writeIso(
    [
      { name: 'install.sh', content: Buffer.from(installScript) },
      { name: 'README.txt', content: Buffer.from(readme.replaceAll('\n', '\r\n')) },
    ],
    { label: 'HYPOTOOLS' },
  );
}
