/**
 * What is measured, as a process of its own: `node subject.ts convert FROM TO KIND`, `… stream TO KIND` (streamOptimized
 * on standard input), `… verify OVA`. FROM is raw unless it ends in .vmdk. Prints JSON.
 */
import {
  type ConvertKind,
  type ConvertSource,
  convertDisk,
  openDisk,
  openRawDisk,
  readStreamOptimized,
} from '@hypostyle/vmdk';
import { LongestWork } from '../api/longest-work.ts';

const [verb, ...words] = process.argv.slice(2);
// As the commands do: what speaks of packages is loaded for packages.
const packages = verb === 'verify' ? await import('@hypostyle/ovf') : undefined;
const work = new LongestWork();
work.begin();

async function convert(source: ConvertSource, path: string, kind: string): Promise<void> {
  await convertDisk({ source, target: { path, kind: kind as ConvertKind, overwrite: true } });
}

if (verb === 'convert') {
  const [from = '', to = '', kind = ''] = words;
  const source = await (from.endsWith('.vmdk') ? openDisk(from) : openRawDisk(from));
  await convert(source, to, kind);
  await source.close();
} else if (verb === 'stream') {
  const [to = '', kind = ''] = words;
  await convert(await readStreamOptimized(process.stdin), to, kind);
} else if (packages) {
  const source = await packages.ovaSource(words[0] ?? '');
  const { result } = await packages.verifyPackage(source);
  await source.close();
  if (result !== 'good') throw new Error(`the verdict is ${result}`);
} else throw new Error(`${verb} is no contest`);
console.log(JSON.stringify({ longestMilliseconds: work.end() }));
