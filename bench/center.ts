/**
 * How a center copes with many machines on many hosts:
 *
 *     node bench/center.ts [--machines 10000] [--hosts 20] [--vcsim PATH] [--json] [--quick] [--profile FOLDER] [--folder FOLDER]
 *
 * The hosts are modelled: real ones in all that a center sees of them, over HTTPS, with no engines and their state in
 * memory, all in one process. The center is the product's own, alone in its process. With `--vcsim` the same requests
 * go to govmomi's simulator, which makes up its hosts and machines in itself.
 */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { meetsAim, ratio, table } from './api/figures.ts';
import { measureCenter } from './center/measure-center.ts';

const { values: options } = parseArgs({
  options: {
    machines: { type: 'string', default: '10000' },
    hosts: { type: 'string', default: '20' },
    vcsim: { type: 'string' },
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    profile: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
  },
});

const [machines, hosts] = [Number(options.machines), Number(options.hosts)];
if (!Number.isInteger(machines) || machines < 1) throw new Error('--machines takes a number above 0');
if (!Number.isInteger(hosts) || hosts < 1 || hosts > 250) throw new Error('--hosts takes a number from 1 to 250');

const { quick, vcsim, profile, folder } = options;
const figures = await measureCenter({ machines, hosts, quick, vcsim, profile, folder });
if (options.json) {
  const complete = figures.map((figure) => ({ ...figure, meetsAim: meetsAim(figure), ratio: ratio(figure) }));
  console.log(JSON.stringify({ machines, hosts, modelled: true, figures: complete }, undefined, 2));
} else console.log(`${machines} machines on ${hosts} modelled hosts\n${table(figures)}`);
