import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, data, type ManagedObjectReference } from '@hypostyle/vim';
import type { Daemon } from '../api/daemon.ts';
import { processorTime } from '../api/process-use.ts';
import { machineView, retrieve, viewFilter } from '../api/requests.ts';
import { SoapSession } from '../api/soap-session.ts';
import type { HostAccess } from './modelled-hosts.ts';

/** Milliseconds after which hosts are taken as lost. */
const patience = 600_000;

export interface Following {
  readonly milliseconds: number;
  /** Microseconds of the center's processor time for each machine. */
  readonly processorPerMachine: number;
}

/** Adds all hosts at once; done when every one is connected and all their machines are here. */
export async function addHosts(daemon: Daemon, hosts: readonly HostAccess[], machines: number): Promise<Following> {
  const { url, userName, password } = daemon.address;
  await using client = createClient({ url: `${url}/sdk`, tls: { insecure: true } });
  await client.signIn(userName, password);
  const { rootFolder } = await client.content();
  const [root] = await client.retrieve([rootFolder as ManagedObjectReference<'Folder'>], ['childEntity']);
  const datacenter = root?.values.childEntity?.[0] as ManagedObjectReference<'Datacenter'>;
  const [folders] = await client.retrieve([datacenter], ['hostFolder']);
  const folder = folders?.values.hostFolder;
  if (folder === undefined) throw new Error('the center has no folder of hosts');
  return await following(daemon, machines, async () => {
    const add = async ({ address, port, thumbprint, userName: user, password: secret }: HostAccess) => {
      const spec = data('HostConnectSpec', {
        hostName: address,
        port,
        sslThumbprint: thumbprint,
        userName: user,
        password: secret,
        force: false,
      });
      const task = await client.call(folder, 'AddStandaloneHost_Task', { spec, addConnected: true });
      await client.waitForTask(task);
    };
    await Promise.all(hosts.map(add));
  });
}

/** How long it takes until a center that was started shows every machine as connected. */
export function allConnected(daemon: Daemon, machines: number): Promise<Following> {
  return following(daemon, machines, () => untilConnected(daemon, machines));
}

/** Asks every second until so many machines are shown as connected. */
export async function untilConnected(daemon: Daemon, machines: number): Promise<void> {
  const session = await SoapSession.open(daemon.address);
  try {
    const request = retrieve(session, viewFilter(await machineView(session), ['runtime.connectionState']));
    const end = performance.now() + patience;
    for (;;) {
      const { text } = await session.call(request);
      if (text.split('>connected<').length - 1 === machines) return;
      if (performance.now() > end) throw new Error(`it did not come to ${machines} connected machines`);
      // The question itself takes the center's time.
      await sleep(1_000);
    }
  } finally {
    session.close();
  }
}

async function following(daemon: Daemon, machines: number, work: () => Promise<void>): Promise<Following> {
  const before = processorTime(daemon.pid);
  const begun = performance.now();
  await work();
  return {
    milliseconds: performance.now() - begun,
    processorPerMachine: (processorTime(daemon.pid) - before) / machines,
  };
}

/** Names of all machines, by reference value. */
export async function machineNames(daemon: Daemon): Promise<ReadonlyMap<string, string>> {
  const session = await SoapSession.open(daemon.address);
  try {
    const { text } = await session.call(retrieve(session, viewFilter(await machineView(session), ['name'])));
    const found = text.matchAll(/<obj[^>]*type="VirtualMachine"[^>]*>([^<]+)<\/obj>.*?<val[^>]*>([^<]+)</gs);
    return new Map([...found].map(([, value = '', name = '']) => [value, name]));
  } finally {
    session.close();
  }
}
