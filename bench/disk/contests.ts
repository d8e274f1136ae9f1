import { join } from 'node:path';

/** Two or more ways to the same thing. */
export interface Contest {
  readonly name: string;
  /** How many times as fast as each other we want to be. */
  readonly aim: number;
  readonly ours: readonly string[];
  readonly others: Readonly<Record<string, readonly string[]>>;
  /** The file that each makes: its size is reported, and it is removed after the run. */
  readonly makes?: { readonly ours: string; readonly theirs: string };
  /** Formats of the two, for `qemu-img compare` with the image. */
  readonly formats?: { readonly ours: string; readonly theirs: string };
}

/**
 * The contests over an image: `disk.raw` and made from it `stream.vmdk`, `sparse.vmdk`, `appliance.ova`. Ours are durable
 * when they end, so the others are asked to be, too.
 */
export function contests(folder: string): readonly Contest[] {
  const at = (name: string) => join(folder, name);
  const subject = (...words: readonly string[]) => [
    process.execPath,
    join(import.meta.dirname, 'subject.ts'),
    ...words,
  ];
  const qemu = (...words: readonly string[]) => ['qemu-img', 'convert', '-t', 'writeback', ...words];
  const makes = { ours: at('ours.out'), theirs: at('theirs.out') };
  const [image, stream, sparse] = [at('disk.raw'), at('stream.vmdk'), at('sparse.vmdk')];
  const vmdkOut = ['-f', 'raw', '-O', 'vmdk', '-o'];
  const rawOut = ['-f', 'vmdk', '-O', 'raw'];
  return [
    {
      name: 'write streamOptimized',
      aim: 2.5,
      ours: subject('convert', image, makes.ours, 'streamOptimized'),
      others: { 'qemu-img': qemu(...vmdkOut, 'subformat=streamOptimized', image, makes.theirs) },
      makes,
      formats: { ours: 'vmdk', theirs: 'vmdk' },
    },
    {
      name: 'read streamOptimized from a file',
      aim: 1.5,
      ours: subject('convert', stream, makes.ours, 'raw'),
      others: { 'qemu-img': qemu(...rawOut, stream, makes.theirs) },
      makes,
      formats: { ours: 'raw', theirs: 'raw' },
    },
    {
      name: 'read streamOptimized from a pipe',
      aim: 1.5,
      ours: [
        `cat '${stream}' | '${process.execPath}' '${join(import.meta.dirname, 'subject.ts')}' stream '${makes.ours}' raw`,
      ],
      others: { 'qemu-img (a file)': qemu(...rawOut, stream, makes.theirs) },
      makes,
      formats: { ours: 'raw', theirs: 'raw' },
    },
    {
      name: 'flat to flat',
      aim: 1,
      ours: subject('convert', image, makes.ours, 'raw'),
      others: {
        'qemu-img': qemu('-f', 'raw', '-O', 'raw', image, makes.theirs),
        'cp --sparse': [`cp --sparse=always '${image}' '${makes.theirs}' && sync '${makes.theirs}'`],
      },
      makes,
      formats: { ours: 'raw', theirs: 'raw' },
    },
    {
      name: 'flat to sparse',
      aim: 1,
      ours: subject('convert', image, makes.ours, 'monolithicSparse'),
      others: { 'qemu-img': qemu(...vmdkOut, 'subformat=monolithicSparse', image, makes.theirs) },
      makes,
      formats: { ours: 'vmdk', theirs: 'vmdk' },
    },
    {
      name: 'sparse to flat',
      aim: 1,
      ours: subject('convert', sparse, makes.ours, 'raw'),
      others: { 'qemu-img': qemu(...rawOut, sparse, makes.theirs) },
      makes,
      formats: { ours: 'raw', theirs: 'raw' },
    },
    {
      name: 'verify an OVA',
      aim: 1,
      ours: subject('verify', at('appliance.ova')),
      others: { sha256sum: ['sha256sum', at('appliance.ova')] },
    },
  ];
}
