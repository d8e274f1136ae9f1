/**
 * Prints where the parts of test guests are, folders with a colon between, for `HYPOSTYLE_GUEST_PARTS`: Debian's cloud
 * kernel and guest agent with its libraries. What is not installed is downloaded and unpacked; nothing is installed.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DebianFiles } from './debian-files.ts';

const debian = new DebianFiles(fileURLToPath(new URL('../.cache/debian', import.meta.url)), console.error);

const kernels = await debian.dependenciesOf('linux-image-cloud-amd64');
const kernel = kernels.find((name) => name.startsWith('linux-image-'));
if (kernel === undefined) throw new Error('apt knows no kernel behind linux-image-cloud-amd64');
const agent = 'qemu-guest-agent';
const libraries = (await debian.dependenciesOf(agent)).filter((name) => name.startsWith('lib') && name !== 'libc6');
const kernelRoot = await debian.rootOf(kernel);
const release = kernel.replace('linux-image-', '');
// An installation writes the list of what each module needs.
if (!existsSync(join(kernelRoot, 'lib/modules', release, 'modules.dep'))) {
  await promisify(execFile)('depmod', ['-b', kernelRoot, release], {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
}
const roots: string[] = [];
for (const name of [kernel, agent, ...libraries]) roots.push(await debian.rootOf(name));
console.log([...new Set(roots)].join(':'));
