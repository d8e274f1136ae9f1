import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Client, createClient, type VimFault } from '@hypostyle/vim';
import { type Center, centerOf } from '../harness/center.ts';
import { Daemon } from '../harness/daemon.ts';
import { envelope, rawRequest } from '../harness/raw-request.ts';

// Whatever is typed, sent or handed out as a secret is in no log, no event, no task and no state, in whatever form it
// came: at a center, at the host that it takes in, and at the center's own host.
const secrets = new Map<string, string>();
const secret = (what: string, text: string) => {
  secrets.set(what, text);
  return text;
};
const basic = (userName: string, password: string) => Buffer.from(`${userName}:${password}`).toString('base64');

describe('secrets', () => {
  let host: Daemon;
  let daemon: Daemon;
  let center: Center;
  before(async () => {
    [host, daemon] = await Promise.all([Daemon.start(), Daemon.start({ mode: 'center' })]);
    center = await centerOf(daemon);
    secret('password of the center', daemon.password);
    secret('password of the host', host.password);
  });
  after(async () => {
    await center?.[Symbol.asyncDispose]();
    await Promise.all([host?.remove(), daemon?.remove()]);
  });

  it('are given in every way there is', async () => {
    await joinHost();
    for (const at of [daemon, host]) {
      await signInWrongly(at);
      await signInOverHttp(at);
      await changeAccounts(at);
      await takeTickets(at);
    }
  });

  it('are in no event and no task', async () => {
    for (const at of [daemon, host]) {
      await using client = await connect(at);
      const { eventManager, taskManager } = await client.content();
      assert.ok(eventManager !== undefined && taskManager !== undefined);
      const events = (await client.call(eventManager, 'QueryEvents', { filter: {} as never })) ?? [];
      assert.ok(events.length > 10, `${events.length} events`);
      const collector = await client.call(taskManager, 'CreateCollectorForTasks', { filter: {} as never });
      const tasks = (await client.call(collector, 'ReadNextTasks', { maxCount: 1_000 })) ?? [];
      if (at === daemon) assert.ok(tasks.length > 0);
      search(JSON.stringify([events, tasks]), `events and tasks of ${at.mode}`);
    }
  });

  it('are in no file but the one that keeps the first password, while it runs and after', async () => {
    for (const at of [daemon, host]) await searchHome(at);
    await center[Symbol.asyncDispose]();
    await Promise.all([daemon.stop(), host.stop()]);
    for (const at of [daemon, host]) {
      await searchHome(at);
      search(at.output, `what the ${at.mode} wrote to its terminal`);
    }
  });

  async function connect(at: Daemon, userName = at.username, password = at.password): Promise<Client> {
    const client = createClient({ url: at.url, tls: { insecure: true } });
    await client.signIn(userName, password);
    return client;
  }

  async function joinHost(): Promise<void> {
    const [datacenter] = await center.all('Datacenter');
    assert.ok(datacenter !== undefined);
    const folder = await center.property<{ type: 'Folder'; value: string }>(datacenter, 'hostFolder');
    const join = async (password: string, sslThumbprint?: string) => {
      const spec = {
        hostName: host.host,
        port: host.port,
        userName: host.username,
        password,
        force: false,
        ...(sslThumbprint === undefined ? {} : { sslThumbprint }),
      };
      const task = await center.client.call(folder, 'AddStandaloneHost_Task', { spec, addConnected: true });
      return center.client.waitForTask(task);
    };
    let thumbprint = '';
    await assert.rejects(join(host.password), (error: VimFault) => {
      thumbprint = String((error.detail as { thumbprint?: string }).thumbprint);
      return error.type === 'SSLVerifyFault';
    });
    const wrong = secret('wrong password of the host', 'Wrong-for-the-host-1');
    await assert.rejects(join(wrong, thumbprint), { type: 'InvalidLogin' });
    await join(host.password, thumbprint);
  }

  async function signInWrongly(at: Daemon): Promise<void> {
    const wrong = secret(`wrong password at the ${at.mode}`, `Wrong-at-the-${at.mode}-2`);
    for (const encoding of ['soap', 'json'] as const) {
      await using client = createClient({ url: at.url, tls: { insecure: true }, encoding });
      await assert.rejects(client.signIn('somebody', wrong), { type: 'InvalidLogin' });
    }
    const authorization = `Basic ${secret(`wrong Basic at the ${at.mode}`, basic('somebody', wrong))}`;
    await rawRequest(at, { path: '/folder?dsName=datastore1', method: 'GET', headers: { authorization } });
    await rawRequest(at, { path: '/api/session', headers: { authorization } });
    const broken = `<Login xmlns="urn:vim25"><_this type="SessionManager">x</_this><userName>a</userName><password>${wrong}`;
    await rawRequest(at, { body: envelope(broken) });
    await rawRequest(at, { path: `/nowhere/${wrong}?password=${wrong}`, method: 'GET' });
  }

  async function signInOverHttp(at: Daemon): Promise<void> {
    const authorization = `Basic ${secret(`Basic at the ${at.mode}`, basic(at.username, at.password))}`;
    const list = await rawRequest(at, { path: '/folder', method: 'GET', headers: { authorization } });
    assert.equal(list.status, 200, list.text);
    const cookie = /vmware_soap_session="?([^";]+)/.exec(String(list.headers['set-cookie']))?.[1];
    assert.ok(cookie);
    secret(`cookie of files at the ${at.mode}`, cookie);
    if (at.mode !== 'center') return;
    const headers = { authorization, 'content-type': 'application/json' };
    const { text, status } = await rawRequest(at, { path: '/api/session', headers });
    assert.equal(status, 201);
    const token = secret('token of the Automation interface', JSON.parse(text) as string);
    await rawRequest(at, { path: '/api/vcenter/vm', method: 'GET', headers: { 'vmware-api-session-id': token } });
    await rawRequest(at, {
      path: `/api/nowhere?token=${token}`,
      method: 'GET',
      headers: { 'vmware-api-session-id': token },
    });
  }

  async function changeAccounts(at: Daemon): Promise<void> {
    await using client = await connect(at);
    const { accountManager } = await client.content();
    assert.ok(accountManager !== undefined);
    const accounts = accountManager as { type: 'HostLocalAccountManager'; value: string };
    const first = secret(`first password at the ${at.mode}`, `First-at-${at.mode}-3`);
    const second = secret(`second password at the ${at.mode}`, `Second-at-${at.mode}-4`);
    const third = secret(`third password at the ${at.mode}`, `Third-at-${at.mode}-5`);
    await client.call(accounts, 'CreateUser', { user: { id: 'ann', password: first, description: 'Ann' } });
    await client.call(accounts, 'UpdateUser', { user: { id: 'ann', password: second } });
    await client.call(accounts, 'ChangePassword', { user: 'ann', oldPassword: second, newPassword: third });
    const refused = secret(`refused password at the ${at.mode}`, `x-${at.mode}`);
    await assert.rejects(client.call(accounts, 'CreateUser', { user: { id: 'bad name !', password: refused } }));
    await using ann = await connect(at, 'ann', third);
    await ann.content();
  }

  async function takeTickets(at: Daemon): Promise<void> {
    await using client = await connect(at);
    const { sessionManager } = await client.content();
    assert.ok(sessionManager !== undefined);
    const ticket = await client.call(sessionManager, 'AcquireCloneTicket', {});
    secret(`clone ticket of the ${at.mode}`, ticket);
    await using other = createClient({ url: at.url, tls: { insecure: true } });
    await other.call(sessionManager, 'CloneSession', { cloneTicket: ticket });
    const url = `${at.url}/folder/nothing?dsName=datastore1`;
    const spec = { _typeName: 'SessionManagerHttpServiceRequestSpec', method: 'httpGet', url } as const;
    const service = await client.call(sessionManager, 'AcquireGenericServiceTicket', { spec });
    secret(`service ticket of the ${at.mode}`, service.id);
    const headers = { cookie: `vmware_cgi_ticket=${service.id}` };
    await rawRequest(at, { path: '/folder/nothing?dsName=datastore1', method: 'GET', headers });
  }

  async function searchHome(at: Daemon): Promise<void> {
    let files = 0;
    for await (const path of filesBelow(at.home)) {
      // Where the first password is kept, and what the test asked for.
      if (['password', 'ready.json'].includes(relative(at.home, path))) continue;
      files += 1;
      search(await readFile(path), `${relative(at.home, path)} of the ${at.mode}`);
    }
    assert.ok(files >= 4, `${files} files`);
  }
});

async function* filesBelow(folder: string): AsyncGenerator<string> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const kind = await stat(path);
    if (kind.isDirectory()) yield* filesBelow(path);
    else if (kind.isFile()) yield path;
  }
}

function search(text: string | Buffer, where: string): void {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  for (const [what, value] of secrets) {
    for (const form of [Buffer.from(value), Buffer.from(value, 'utf16le'), Buffer.from(encodeURIComponent(value))])
      assert.equal(bytes.includes(form), false, `the ${what} is in ${where}`);
  }
}
