// The Debian packages that this project uses: says which are missing, and installs them.
//
//     node scripts/debian-packages.mjs [run] [appliance] [tests] [ansible] [clients] [guestfs] [govmomi]     all of them when none is named
//
// Plain JavaScript for Node 20: it runs before anything else is there.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Packages by what they are for. The kernel and the guest agent of the appliance are not here: its builder downloads
 * and unpacks them, for installing the agent would start a service on this machine.
 */
export const packages = {
  run: ['qemu-system-x86', 'qemu-utils', 'ovmf', 'util-linux'],
  appliance: ['busybox-static', 'syslinux', 'syslinux-common', 'mtools', 'libc-bin', 'tar'],
  tests: [
    ...[
      'python3-pyvmomi',
      'python3-zeep',
      'python3-suds',
      'ruby-rbvmomi',
      'libvirt-clients',
      'libxml2-utils',
      'genisoimage',
      'xorriso',
      'postgresql',
      'nbdkit',
      'libnbd-bin',
    ],
    // Another reader of VMDK, beside qemu-img.
    'python3-libvmdk',
    ...['curl', 'openssl', 'fdisk', 'cpio', 'kmod', 'iproute2'],
  ],
  // With its collections it is 20 MB to load and 290 MB on disk, so it is a group of its own.
  ansible: ['ansible'],
  // Clients of the test bed beside those of the tests, with what they need: 19 MB to load.
  clients: ['fence-agents', 'python3-oslo.vmware', 'libsoap-lite-perl'],
  // Other readers of disks and packages, which boot a small system of their own to look into them: 25 MB and a kernel.
  guestfs: ['virt-v2v', 'guestfish', 'e2fsprogs', 'fdisk', 'debootstrap', 'linux-image-cloud-amd64'],
  // The library of govc, Terraform and Packer for VMware, as sources, and what builds them: 90 MB to load.
  govmomi: ['golang-go', 'golang-github-vmware-govmomi-dev'],
};

/** Packages of the groups that are not installed, in order. All of them where there is no dpkg. */
export function missingPackages(groups = Object.keys(packages)) {
  const names = [...new Set(groups.flatMap((group) => packages[group] ?? unknownGroup(group)))];
  // biome-ignore lint/suspicious/noTemplateCurlyInString: fields in the syntax of dpkg-query
  const query = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...names], {
    encoding: 'utf8',
  });
  if (query.error !== undefined) throw new Error('this needs Debian or a system made of it: there is no dpkg-query');
  const installed = new Set(
    query.stdout
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return names.filter((name) => !installed.has(name));
}

/** The command that a person runs to install packages. */
export function installCommand(names) {
  return `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${names.join(' ')}`;
}

/** Installs what is missing of the groups, with apt's own output. Throws with the command to run when it may not. */
export function ensurePackages(groups = Object.keys(packages)) {
  const missing = missingPackages(groups);
  if (missing.length === 0) return [];
  const prefix = asRoot();
  if (prefix === undefined) {
    throw new Error(
      `Debian packages are missing, and only root can install them. Run:\n\n  ${installCommand(missing)}\n`,
    );
  }
  console.error(`installing ${missing.length} Debian packages: ${missing.join(' ')}`);
  // Lists of our own: those of the system stay as they are.
  const lists = mkdtempSync(join(tmpdir(), 'apt-lists-'));
  const options = ['-o', `Dir::State::lists=${lists}`];
  try {
    apt(prefix, [...options, '-q', 'update']);
    apt(prefix, [...options, 'install', '-y', '--no-install-recommends', ...missing]);
  } finally {
    // apt may have left files of another user there.
    spawnSync(prefix[0] ?? 'rm', [...prefix.slice(1), ...(prefix.length > 0 ? ['rm'] : []), '-rf', lists]);
    rmSync(lists, { recursive: true, force: true });
  }
  const left = missingPackages(groups);
  if (left.length > 0) throw new Error(`apt-get installed nothing for ${left.join(', ')}`);
  return missing;
}

/** What to put before a command so that root runs it: nothing, or sudo without a question. Undefined: it cannot be. */
function asRoot() {
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

function apt(prefix, args) {
  const [command, ...rest] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
  // Standard output belongs to whoever called this.
  const run = spawnSync(command, rest, { stdio: ['ignore', 2, 2] });
  if (run.status !== 0) throw new Error(`apt-get ${args.at(-1) === 'update' ? 'update' : 'install'} failed`);
}

function unknownGroup(group) {
  throw new Error(`no group of packages is called ${group}; there are ${Object.keys(packages).join(', ')}`);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const groups = process.argv.slice(2);
  try {
    const added = ensurePackages(groups.length > 0 ? groups : undefined);
    console.log(added.length > 0 ? `installed ${added.join(' ')}` : 'every Debian package is there');
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
