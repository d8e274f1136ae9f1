import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type ChangeMap, type Disk, NbdServer, nbdUri, openNbdDisk } from '@hypostyle/vmdk';
import { type Command, Option } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { GlobalOptions } from '../../connection/server-address.ts';
import { exactBytes } from '../../disk/byte-size.ts';
import { readChangeMap } from '../../disk/change-map-file.ts';
import { openSource, type SourceOptions, sourceOptions } from '../../disk/disk-source.ts';
import type { MachineDisk } from '../../disk/machine-disk.ts';
import { CliError } from '../../errors.ts';
import { answer } from '../../output/answer.ts';
import { note, print, printJson } from '../../output/terminal.ts';

/** What hosts call the change map of a disk. */
const machineChangeMap = 'changes';

interface ServeOptions extends SourceOptions, GlobalOptions {
  readonly vm?: string;
  readonly disk?: string;
  readonly snapshot?: string;
  readonly socket?: string;
  readonly port?: number;
  readonly bind: string;
  readonly tls?: string;
  readonly tlsVerifyPeer?: boolean;
  readonly writable?: boolean;
  readonly name: string;
  readonly since: readonly string[];
}

/** `hypo disk serve`: a disk over NBD, for as long as the command runs. */
export const defineDiskServe: CommandDefinition = (program, context) => {
  sourceOptions(
    program
      .command('serve')
      .description('export a disk over NBD until Ctrl-C, for nbdcopy, qemu-img, nbdkit and backup tools')
      .argument('[disk]', 'unless --vm says whose it is'),
  )
    .option('--socket <path>', 'listen on a unix socket that only you can use')
    .addOption(new Option('--port <number>', 'listen on TCP; 0 for any free port').argParser(portNumber))
    .option('--bind <address>', 'address for --port', '127.0.0.1')
    .option('--tls <folder>', 'server-cert.pem and server-key.pem (and ca-cert.pem): clients must use TLS')
    .option('--tls-verify-peer', 'clients need a certificate that ca-cert.pem signed')
    .option('--vm <machine>', 'a disk of a machine of the server, also while it runs: name, path or id')
    .option('--disk <key>', 'key or label of the disk of --vm; the only one unless told')
    .option('--snapshot <name>', 'the disk as this snapshot of --vm has it')
    .option('--writable', 'let clients write; one at a time, please')
    .option('--name <export>', 'name of the export', '')
    .addOption(
      new Option(
        '--since <what>',
        "tell what changed: a file of JSON such as 'hypo disk map --changes --json' gives, repeatable; with --vm the id of a change",
      )
        .argParser((file: string, before: readonly string[]) => [...before, file])
        .default([] as readonly string[], 'none'),
    )
    .addHelpText(
      'after',
      `
Addresses other than loopback are served with --tls only. A disk of a machine (--vm) is exported by its host, with TLS;
with --socket or --port this command passes it on.

Examples:
  hypo disk serve web.vmdk --socket /tmp/web.sock
  hypo disk serve appliance.ova --port 10809
  hypo disk serve web.vmdk --port 10809 --bind 0.0.0.0 --tls pki --tls-verify-peer --name web
  hypo disk serve --vm web                                  says where its host exports it
  hypo disk serve --vm web --snapshot backup --socket /tmp/web.sock`,
    )
    .action(async (text: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf<ServeOptions>(command);
      const listens = options.socket !== undefined || options.port !== undefined;
      if (options.socket !== undefined && options.port !== undefined) {
        throw new CliError('usage', 'Say --socket or --port, not both.');
      }
      if ((text === undefined) === (options.vm === undefined)) {
        throw new CliError('usage', 'Say which disk: a file, or a machine with --vm.');
      }
      if (options.vm !== undefined) {
        const { since, ...place } = options;
        if (since.length > 1) throw new CliError('usage', 'With --vm, --since is one id.');
        const asked = { ...place, vm: options.vm, ...(since[0] === undefined ? {} : { since: since[0] }) };
        const { acquireMachineDisk } = await import('../../disk/machine-disk.ts');
        const found = await onServer(command, context, (session) => acquireMachineDisk(session, asked));
        if (!listens) return tellMachineDisk(context, command, found);
        const { writable = false } = options;
        const changeMaps = since.length === 0 ? [] : [machineChangeMap];
        const open = () => openNbdDisk(found.address, found.exportName, { writable, changeMaps });
        return serve(context, options, options.vm, open, async (disk) =>
          changeMaps.map((name) => ({ name, changes: (range) => disk.changes(name, range) })),
        );
      }
      if (!listens) throw new CliError('usage', 'Say where to listen: --socket or --port.');
      const files = async (disk: Disk) => {
        const changeMaps: ChangeMap[] = [];
        for (const file of options.since) changeMaps.push(await readChangeMap(file, disk.virtualBytes));
        return changeMaps;
      };
      return serve(context, options, text ?? '', () => openSource(text ?? '', options), files);
    });
};

/** Serves until somebody says to stop. */
async function serve<Served extends Disk>(
  context: CommandContext,
  options: ServeOptions,
  what: string,
  open: () => Promise<Served>,
  mapsOf: (disk: Served) => Promise<ChangeMap[]>,
): Promise<void> {
  const tls = options.tls === undefined ? undefined : await serverTls(options.tls, options.tlsVerifyPeer ?? false);
  const disk = await open();
  let server: NbdServer | undefined;
  try {
    const changeMaps = await mapsOf(disk);
    const exported = { disk, writable: options.writable ?? false, changeMaps };
    server = new NbdServer({
      exports: { find: (name) => (name === options.name ? exported : undefined), list: () => [options.name] },
      ...(tls === undefined ? {} : { tls: () => tls }),
      onFailure: (error) => note(context.terminal, error instanceof Error ? error.message : String(error)),
    });
    const uri = await listen(server, options);
    if (options.json) printJson(context.terminal, { uri, virtualBytes: disk.virtualBytes, pid: process.pid });
    else {
      const how = exported.writable ? 'for reading and writing' : 'for reading';
      print(context.terminal, `${what}, ${exactBytes(disk.virtualBytes)}, ${how}:\n\n  ${uri}\n`);
      print(context.terminal, `Such as:  nbdcopy '${uri}' copy.raw\nCtrl-C ends it.`);
    }
    if (!context.signal.aborted) await once(context.signal, 'abort');
  } finally {
    await server?.close();
    await disk.close();
  }
}

function tellMachineDisk(context: CommandContext, command: Command, { uri, thumbprint }: MachineDisk): void {
  const trust = thumbprint === undefined ? '' : `\nCertificate (SHA-1): ${thumbprint}`;
  const life = 'Good for five minutes, and then as long as somebody is connected.';
  answer(context, command, { uri, thumbprint }, `${uri}${trust}\n${life}`);
}

async function listen(server: NbdServer, options: ServeOptions): Promise<string> {
  const tls = options.tls === undefined ? {} : { tls: {} };
  if (options.socket !== undefined) {
    const socketPath = resolve(options.socket);
    await server.listenUnix(socketPath);
    return nbdUri({ socketPath, ...tls }, options.name);
  }
  const port = await server.listenTcp(options.bind, options.port ?? 0);
  return nbdUri({ host: options.bind, port, ...tls }, options.name);
}

/** Key and certificates by the names that QEMU and nbdkit give them in a folder. */
async function serverTls(folder: string, requestCert: boolean) {
  const part = async (name: string) => {
    try {
      return await readFile(join(folder, name), 'utf8');
    } catch {
      throw new CliError('not-found', `${join(folder, name)} cannot be read.`);
    }
  };
  const [cert, key] = [await part('server-cert.pem'), await part('server-key.pem')];
  return { cert, key, requestCert, ...(requestCert ? { ca: await part('ca-cert.pem') } : {}) };
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new CliError('usage', `'${text}' is no port.`);
  return port;
}
