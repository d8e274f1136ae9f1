/**
 * Prints where the parts of test guests are, folders with a colon between, for `HYPOSTYLE_GUEST_PARTS`: Debian's cloud
 * kernel and guest agent with its libraries. What is not installed is downloaded and unpacked; nothing is installed.
 */
import { fileURLToPath } from 'node:url';
import { DebianFiles } from './debian-files.ts';

const debian = new DebianFiles(fileURLToPath(new URL('../.cache/debian', import.meta.url)), console.error);

const kernels = await debian.dependenciesOf('linux-image-cloud-amd64');
const kernel = kernels.find((name) => name.startsWith('linux-image-'));
if (kernel === undefined) throw new Error('apt knows no kernel behind linux-image-cloud-amd64');
const agent = 'qemu-guest-agent';
const libraries = (await debian.dependenciesOf(agent)).filter((name) => name.startsWith('lib') && name !== 'libc6');
const roots: string[] = [];
for (const name of [kernel, agent, ...libraries]) roots.push(await debian.rootOf(name));
console.log([...new Set(roots)].join(':'));
