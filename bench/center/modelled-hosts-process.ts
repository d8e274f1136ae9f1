/** Hosts with a modelled hypervisor behind real HTTPS ports, each at a loopback address of its own. */
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Computer, type Daemon } from '@hypostyle/host/testing';
import { handleNodeRequest, ManagementEndpoint } from '@hypostyle/vim';
import type { HostAccess } from './modelled-hosts.ts';

export type HostWord = { readonly hosts: readonly HostAccess[] } | { readonly committedAt: string };

const [hostCount = 0, machineCount = 0] = process.argv.slice(2).map(Number);
const account = { userName: 'root', password: 'Very-secret-1' };
const material = await selfSigned();
const computers: Computer[] = [];
const daemons: Daemon[] = [];

process.on('message', ({ name, text }: { readonly name: string; readonly text: string }) => {
  annotate(name, text).then(tell, fail);
});
process.on('disconnect', () => {
  end().catch(fail);
});

const hosts: HostAccess[] = [];
for (let number = 0; number < hostCount; number += 1) hosts.push(await startHost(number));
tell({ hosts });

async function startHost(number: number): Promise<HostAccess> {
  const computer = await Computer.make({ name: `host-${number}` });
  computers.push(computer);
  const share = Math.floor(machineCount / hostCount) + (number < machineCount % hostCount ? 1 : 0);
  await computer.fill(share, `h${number}-`);
  const daemon = await computer.start();
  daemons.push(daemon);
  const { registry, dispatcher, authorizer, sessions } = daemon.host;
  const endpoint = new ManagementEndpoint({ registry, dispatcher, authorizer, sessions });
  const tls = { ...material, requestCert: true, rejectUnauthorized: false };
  const server = createServer(tls, (incoming, outgoing) => {
    handleNodeRequest(endpoint, incoming, outgoing).catch(fail);
  });
  const address = `127.0.0.${2 + number}`;
  server.listen(0, address);
  await once(server, 'listening');
  const thumbprint = new X509Certificate(material.cert).fingerprint;
  return { address, port: (server.address() as AddressInfo).port, thumbprint, ...account };
}

/** By ReconfigVM_Task on the machine's host; the time is that of the commit that followers there are told of. */
async function annotate(name: string, text: string): Promise<HostWord> {
  const daemon = daemons[Number(/^h(\d+)-/.exec(name)?.[1])];
  const machine = daemon?.machine(name);
  if (daemon === undefined || machine === undefined) throw new Error(`no host has ${name}`);
  let committedAt = 0n;
  const stop = daemon.host.registry.onCommit(() => {
    if (committedAt === 0n && daemon.read(machine, 'summary')?.config.annotation === text) {
      committedAt = process.hrtime.bigint();
    }
  });
  try {
    await daemon.task(machine, 'ReconfigVM_Task', {
      spec: { _typeName: 'VirtualMachineConfigSpec', annotation: text },
    });
  } finally {
    stop();
  }
  return { committedAt: String(committedAt) };
}

function tell(word: HostWord): void {
  process.send?.(word);
}

function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}

async function end(): Promise<void> {
  for (const daemon of daemons) await daemon.host.close();
  for (const computer of computers) await computer.remove();
  process.exit(0);
}

/** One certificate for all: who a host is, its identity says. */
async function selfSigned(): Promise<{ readonly key: string; readonly cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-hosts-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    await promisify(execFile)('openssl', [...made, '-subj', '/CN=modelled', '-keyout', key, '-out', cert]);
    return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
