import type { ManagedObjectReference } from '@hypostyle/vim';
import { type Command, InvalidArgumentError } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { acceptPackage } from '../../deploy/acceptance.ts';
import { parseForward, parseProperty, parseScale } from '../../deploy/arguments.ts';
import { openDatastorePackage } from '../../deploy/datastore-package.ts';
import { type Deployed, deployPackage } from '../../deploy/deploy.ts';
import { openDeployPackage } from '../../deploy/deploy-package.ts';
import { CliError } from '../../errors.ts';
import { runTask } from '../../inventory/run-task.ts';
import { waitForAddress } from '../../inventory/wait-for-address.ts';
import { note, print, printJson } from '../../output/terminal.ts';
import { type PassphraseArguments, passphraseOf, passphraseOption } from '../../ovf/passphrase.ts';
import { repeat, trustedOf } from '../../ovf/signing-options.ts';
import { type PlaceOptions, placeOf, placeOptions } from '../inventory/place-options.ts';
import { seconds } from '../vm/power.ts';

interface DeployOptions extends PlaceOptions, PassphraseArguments {
  readonly name?: string;
  readonly datastore?: string;
  readonly diskDatastore: readonly string[];
  readonly network: readonly string[];
  readonly property: readonly { readonly key: string; readonly value: string }[];
  readonly forward: readonly string[];
  readonly disks: string;
  readonly option?: string;
  readonly scale: ReadonlyMap<string, number>;
  readonly acceptEula?: boolean;
  readonly trust: readonly string[];
  readonly requireSignature?: boolean;
  readonly verify?: string;
  readonly settleRate?: number;
  readonly powerOn?: boolean;
  readonly waitIp?: boolean;
  readonly timeout: number;
  readonly json?: boolean;
}

/** `hypo deploy`: a machine or vApp from an OVA or OVF. */
export const defineDeploy: CommandDefinition = (program, context) => {
  const deploy = program
    .command('deploy')
    .description('make a machine, or a vApp, of an OVA, an OVF, or the address of one')
    .argument('<package>', "file.ova, file.ovf, '[datastore] file.ova', or https://…")
    .option('--name <name>', 'name of the machine or vApp; that of the package unless told')
    .option('--datastore <name>', 'where its files go; the one of the host with most room unless told')
    .option(
      '--disk-datastore <name>',
      "where its disks go, beside the machine unless told, or 'NUMBER=NAME' for one; may be repeated",
      repeat,
      [],
    )
    .option('--network <name>', "network for every card, or 'NETWORK OF THE PACKAGE=NAME'; may be repeated", repeat, [])
    .option('--property <key=value>', 'property of the package; may be repeated', collectProperty, [])
    .option(
      '--forward <host:guest>',
      'TCP port of this host, or address and port, that leads to one of the guest; may be repeated',
      collectForward,
      [],
    )
    .option('--disks <kind>', 'thin or thick', 'thin')
    .option('--option <id>', 'deployment option of the package')
    .option(
      '--scale <id=count>',
      'how many machines of what scales out in the package (ScaleOutSection); may be repeated',
      collectScale,
      new Map<string, number>(),
    )
    .option('--verify <when>', 'check compressed disks before the machine can start, or in the background')
    .option(
      '--settle-rate <megabytes>',
      'how fast such disks become plain ones, in MB a second; 0: at full speed',
      rate,
    )
    .option('--accept-eula', 'accept the licences of the package')
    .option(
      '--trust <file>',
      'certificates in PEM, one of which must vouch for its signature; may be repeated',
      repeat,
      [],
    )
    .option('--require-signature', 'refuse a package that is not signed')
    .option('--power-on', 'start it')
    .option('--wait-ip', 'start it, wait for its address and print it')
    .option('--timeout <seconds>', 'how long to wait for the address', seconds, 300);
  placeOptions(passphraseOption(deploy))
    .addHelpText(
      'after',
      `
Examples:
  hypo deploy appliance.ova
  hypo deploy appliance.ova --name web --property hostname=web --forward 8080:80 --power-on --wait-ip
  hypo deploy appliance.ova --host esx2 --folder /Datacenter/vm/web --pool production
  hypo deploy shop.ova --scale web=4
  hypo deploy appliance.ova --datastore fast --disk-datastore 2=archive
  hypo deploy '[datastore1] library/appliance.ova' --verify before --power-on
  hypo deploy https://example.org/appliance.ova --network 'VM Network'`,
    )
    .action(async (source: string, _options: unknown, command: Command) => {
      const options = optionsOf<DeployOptions>(command);
      if (options.disks !== 'thin' && options.disks !== 'thick') {
        throw new CliError('usage', `'${options.disks}' is no kind of disk.`, { next: 'Use thin or thick.' });
      }
      const { verify, settleRate } = options;
      if (verify !== undefined && verify !== 'before' && verify !== 'background') {
        throw new CliError('usage', `'${verify}' is no time to verify at.`, { next: 'Use before or background.' });
      }
      // A package that cannot be read needs no server.
      const passphrase = await passphraseOf(context, options);
      const local = /^\[/.test(source) ? undefined : await openDeployPackage(source, context.signal, passphrase);
      await using _closed = local;
      const acceptance = {
        acceptEula: options.acceptEula ?? false,
        trusted: await trustedOf(options.trust, false),
        requireSignature: options.requireSignature ?? false,
      };
      if (local !== undefined) await acceptPackage(context, local, acceptance);
      await onServer(command, context, async (session) => {
        await using opened = local ?? (await openDatastorePackage(session, source, context.signal, passphrase));
        if (local === undefined) await acceptPackage(context, opened, acceptance);
        const { name, datastore, network, property, forward, option, scale } = options;
        const machines = await deployPackage(session, context, opened, {
          network,
          properties: property,
          forwards: forward,
          disks: options.disks as 'thin' | 'thick',
          counts: scale,
          datastore,
          diskDatastores: options.diskDatastore,
          place: placeOf(options),
          ...(name === undefined ? {} : { name }),
          ...(option === undefined ? {} : { deploymentOption: option }),
          ...(verify === undefined ? {} : { verify }),
          ...(settleRate === undefined ? {} : { settleRate }),
        });
        await finish(session, context, machines, options);
      });
    });
};

async function finish(
  session: ServerSession,
  context: CommandContext,
  all: readonly Deployed[],
  options: DeployOptions,
): Promise<void> {
  const results: unknown[] = [];
  for (const one of all) results.push(await finishOne(session, context, one, options));
  if (options.json) printJson(context.terminal, results.length === 1 ? results[0] : results);
}

/** Starts what was deployed, if it is to be, and tells of it; answers what JSON says. */
async function finishOne(
  session: ServerSession,
  context: CommandContext,
  deployed: Deployed,
  { powerOn, waitIp, timeout, json }: DeployOptions,
): Promise<unknown> {
  const name = await nameOf(session, deployed);
  if (deployed.type === 'VirtualApp') {
    const vApp = deployed as ManagedObjectReference<'VirtualApp'>;
    if (!json && (powerOn || waitIp)) note(context.terminal, `${name}: deployed`);
    if (powerOn || waitIp)
      await runTask(session, context, name, () => session.client.call(vApp, 'PowerOnVApp_Task', {}));
    if (waitIp) note(context.terminal, `hypo: warning: ${name} is a vApp: ask its machines for their addresses.`);
    if (!json) print(context.terminal, `${name}: ${powerOn || waitIp ? 'started' : 'deployed'}`);
    return { id: vApp.value, name };
  }
  const machine = deployed as ManagedObjectReference<'VirtualMachine'>;
  if (!json && (powerOn || waitIp)) note(context.terminal, `${name}: deployed`);
  if (powerOn || waitIp) {
    await runTask(session, context, name, () => session.client.call(machine, 'PowerOnVM_Task', {}));
    if (!json && waitIp) note(context.terminal, `${name}: powered on`);
  }
  const ip = waitIp ? await waitForAddress(session, machine, name, timeout, context.signal) : undefined;
  if (!json) print(context.terminal, ip ?? `${name}: ${powerOn ? 'powered on' : 'deployed'}`);
  return { id: machine.value, name, ...(ip === undefined ? {} : { ip }) };
}

async function nameOf({ client }: ServerSession, deployed: Deployed): Promise<string> {
  const [found] =
    deployed.type === 'VirtualApp'
      ? await client.retrieve(deployed as ManagedObjectReference<'VirtualApp'>, ['name'])
      : await client.retrieve(deployed as ManagedObjectReference<'VirtualMachine'>, ['name']);
  return found?.values.name ?? deployed.value;
}

function rate(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError('Write it as a number of MB, such as 50.');
  return value;
}

function collectProperty(text: string, before: DeployOptions['property']): DeployOptions['property'] {
  const property = parseProperty(text);
  if (property === undefined) throw new InvalidArgumentError('Write it as KEY=VALUE.');
  return [...before, property];
}

function collectScale(text: string, before: DeployOptions['scale']): DeployOptions['scale'] {
  const scale = parseScale(text);
  if (scale === undefined) throw new InvalidArgumentError('Write it as ID=COUNT, such as web=4.');
  return new Map([...before, scale]);
}

function collectForward(text: string, before: readonly string[]): readonly string[] {
  const forward = parseForward(text);
  if (forward === undefined) throw new InvalidArgumentError('Write it as 8080:80 or 0.0.0.0:8080:80.');
  return [...before, forward];
}
