import { join } from 'node:path';

/** Two or more ways to the same thing. */
export interface Contest {
  readonly name: string;
  /** How many times as fast as each other we want to be. */
  readonly aim: number;
  readonly ours: readonly string[];
  readonly others: Readonly<Record<string, readonly string[]>>;
  /** Told beside, not judged: what leaves the bytes in memory when it ends, and settings that few know. */
  readonly beside?: Readonly<Record<string, readonly string[]>>;
  /** The file that each makes: its size is reported, and it is removed after the run. */
  readonly makes?: { readonly ours: string; readonly theirs: string };
  /** Formats of the two, for `qemu-img compare` with the image. */
  readonly formats?: { readonly ours: string; readonly theirs: string };
}

/**
 * The contests over an image: `disk.raw` and made from it `stream.vmdk`, `sparse.vmdk`, `appliance.ova`. Ours are durable
 * when they end, so the others are asked to be, too; what they take without that is told beside.
 */
export function contests(folder: string): readonly Contest[] {
  const at = (name: string) => join(folder, name);
  const subject = (...words: readonly string[]) => [
    process.execPath,
    join(import.meta.dirname, 'subject.ts'),
    ...words,
  ];
  const qemu = (...words: readonly string[]) => ['qemu-img', 'convert', '-t', 'writeback', ...words];
  const unsafeQemu = (...words: readonly string[]) => ['qemu-img', 'convert', '-t', 'unsafe', ...words];
  const thenSync = (words: readonly string[]) => [
    `${words.map((word) => `'${word}'`).join(' ')} && sync '${makes.theirs}'`,
  ];
  const makes = { ours: at('ours.out'), theirs: at('theirs.out') };
  const copy = ['cp', '--sparse=always', at('disk.raw'), makes.theirs];
  const [image, stream, sparse] = [at('disk.raw'), at('stream.vmdk'), at('sparse.vmdk')];
  const vmdkOut = ['-f', 'raw', '-O', 'vmdk', '-o'];
  const rawOut = ['-f', 'vmdk', '-O', 'raw'];
  /** Both make a file of a format out of one. */
  const converting = (
    name: string,
    aim: number,
    format: 'vmdk' | 'raw',
    ours: readonly string[],
    others: Contest['others'],
    beside: Contest['others'] = {},
  ): Contest => ({ name, aim, ours, others, beside, makes, formats: { ours: format, theirs: format } });
  const piped = `cat '${stream}' | '${process.execPath}' '${join(import.meta.dirname, 'subject.ts')}' stream '${makes.ours}' raw`;
  return [
    converting('write streamOptimized', 2.5, 'vmdk', subject('convert', image, makes.ours, 'streamOptimized'), {
      'qemu-img': qemu(...vmdkOut, 'subformat=streamOptimized', image, makes.theirs),
    }),
    converting('read streamOptimized from a file', 1.5, 'raw', subject('convert', stream, makes.ours, 'raw'), {
      'qemu-img': qemu(...rawOut, stream, makes.theirs),
    }),
    converting('read streamOptimized from a pipe', 1.5, 'raw', [piped], {
      'qemu-img (a file)': qemu(...rawOut, stream, makes.theirs),
    }),
    converting(
      'flat to flat',
      1,
      'raw',
      subject('convert', image, makes.ours, 'raw'),
      {
        'qemu-img': qemu('-f', 'raw', '-O', 'raw', image, makes.theirs),
        'cp --sparse and sync': thenSync(copy),
      },
      {
        'qemu-img, not durable': unsafeQemu('-f', 'raw', '-O', 'raw', image, makes.theirs),
        'cp --sparse, not durable': copy,
        'qemu-img -t none -W -m 8': [
          ...['qemu-img', 'convert', '-t', 'none', '-W', '-m', '8'],
          ...['-f', 'raw', '-O', 'raw', image, makes.theirs],
        ],
      },
    ),
    converting('flat to sparse', 1, 'vmdk', subject('convert', image, makes.ours, 'monolithicSparse'), {
      'qemu-img': qemu(...vmdkOut, 'subformat=monolithicSparse', image, makes.theirs),
      // With less care on the way: its other way makes each table durable before the next.
      'qemu-img and sync': thenSync(unsafeQemu(...vmdkOut, 'subformat=monolithicSparse', image, makes.theirs)),
    }),
    converting(
      'sparse to flat',
      1,
      'raw',
      subject('convert', sparse, makes.ours, 'raw'),
      { 'qemu-img': qemu(...rawOut, sparse, makes.theirs) },
      { 'qemu-img, not durable': unsafeQemu(...rawOut, sparse, makes.theirs) },
    ),
    {
      name: 'verify an OVA',
      aim: 1,
      ours: subject('verify', at('appliance.ova')),
      others: { sha256sum: ['sha256sum', at('appliance.ova')] },
    },
  ];
}
