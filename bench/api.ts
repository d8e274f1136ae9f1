/**
 * How fast the management interface is, with machines that are folders on a datastore:
 *
 *     node bench/api.ts [--machines 2000,10000] [--vcsim PATH] [--json] [--quick] [--profile FOLDER] [--folder FOLDER]
 *
 * The server runs in a process of its own, and its processor time is what counts; requests come over HTTPS, in the
 * words of pyVmomi and govc. With `--vcsim` the same requests go to govmomi's simulator. `--quick` measures less often.
 * `--profile` writes processor profiles of the server, `--folder` is where homes are made.
 */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { type Figure, meetsAim, ratio, table } from './api/figures.ts';
import { measure } from './api/measure.ts';

const { values: options } = parseArgs({
  options: {
    machines: { type: 'string', default: '2000,10000' },
    vcsim: { type: 'string' },
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    profile: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
  },
});

const sizes = options.machines.split(',').map(Number);
if (!sizes.every((size) => Number.isInteger(size) && size > 0)) throw new Error('--machines takes numbers above 0');

const results: { readonly machines: number; readonly figures: readonly Figure[] }[] = [];
for (const machines of sizes) {
  const { quick, vcsim, profile, folder } = options;
  const figures = await measure({ machines, quick, vcsim, profile, folder });
  results.push({ machines, figures });
  if (!options.json) console.log(`${machines} machines\n${table(figures)}\n`);
}
if (options.json) {
  const complete = results.map(({ machines, figures }) => ({
    machines,
    figures: figures.map((figure) => ({ ...figure, meetsAim: meetsAim(figure), ratio: ratio(figure) })),
  }));
  console.log(JSON.stringify(complete, undefined, 2));
}
