import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { CallConnection, HostConnectInfo, ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../testing/host-fixture.ts';

const { host, extensionManager, rootFolder, options } = references;
const sessionManager: ManagedObjectReference<'SessionManager'> = { type: 'SessionManager', value: 'ha-sessionmgr' };
const accountManager = { type: 'HostLocalAccountManager', value: 'ha-localacctmgr' };
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

/** Valid until 2126; nobody has its key. */
const certificatePem = `-----BEGIN CERTIFICATE-----
MIIBijCCAS+gAwIBAgIULdEV5S36gvZHrRjbcNmDJX0I6howCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOY2VudGVyLmV4YW1wbGUwIBcNMjYxMTIxMTUwMzI1WhgPMjEy
NjEwMjgxNTAzMjVaMBkxFzAVBgNVBAMMDmNlbnRlci5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAE0iEyzVN3diBZdouF7Z8LS1aTsJBYgMHRu0r0vS2B
uCuqF7k2CHR1UaoeiLpMNJaZXwoPzSP67tOwndlepqJ1+aNTMFEwHQYDVR0OBBYE
FPY3qVfRoaS1Wwn+hbhnQRlsXeZqMB8GA1UdIwQYMBaAFPY3qVfRoaS1Wwn+hbhn
QRlsXeZqMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAJ3vdgzE
KvtDOzSnbmbiwgiil7bTLAvc5N2IXnhCY7HlAiEA/s1efMcL3U3uvmUOmRd4UE9L
8QyJXZE7BNjFwrky85o=
-----END CERTIFICATE-----
`;
const connection = {
  clientAddress: '192.0.2.9',
  userAgent: 'center',
  clientCertificate: new X509Certificate(certificatePem).raw,
  establish: () => {},
  release: () => {},
} as unknown as CallConnection;

function extension(key: string, url: string) {
  return {
    _typeName: 'Extension',
    key,
    type: 'VirtualCenter',
    version: '1.0.0',
    description: { label: 'Center', summary: 'Center' },
    server: [{ url, description: { label: '', summary: '' }, company: '', type: 'SOAP', adminEmail: [] }],
    lastHeartbeatTime: '2026-01-01T00:00:00Z',
  };
}

async function register(daemon: Daemon, key: string, url: string): Promise<void> {
  await daemon.call(extensionManager, 'RegisterExtension', { extension: extension(key, url) });
  await daemon.call(extensionManager, 'SetExtensionCertificate', { extensionKey: key, certificatePem });
}

const signIn = (daemon: Daemon, key: string) =>
  daemon.host.sessions.signInExtension(key, undefined, connection).session;
const managedBy = (daemon: Daemon) => daemon.host.registry.read(host, 'summary')?.managementServerIp;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a center takes a host in, signs in by its certificate, and leaves nothing when it lets go', async () => {
  const computer = await Computer.make();
  try {
    const first = await computer.start();
    await first.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
    const before = (await first.call(host, 'QueryHostConnectionInfo')) as HostConnectInfo;
    assert.equal(before.serverIp, undefined);
    assert.deepEqual(
      [before.vm?.map((vm) => vm.config.name), before.datastore?.length, before.network?.length],
      [['web'], 1, 1],
    );
    await register(first, 'center-1', 'https://192.0.2.7/sdk');
    assert.equal(managedBy(first), '192.0.2.7');
    await first.host.close();

    const daemon = await computer.start();
    assert.equal(managedBy(daemon), '192.0.2.7');
    assert.equal(((await daemon.call(host, 'QueryHostConnectionInfo')) as HostConnectInfo).serverIp, '192.0.2.7');
    const session = signIn(daemon, 'center-1');
    assert.equal(session.userName, 'vpxuser');
    assert.equal(daemon.host.authorizer.holds(session, rootFolder, 'VirtualMachine.Interact.PowerOn'), true);

    await daemon.call(extensionManager, 'UnregisterExtension', { extensionKey: 'center-1' });
    await turn();
    assert.equal(managedBy(daemon), undefined);
    assert.equal(session.ended, true);
    assert.throws(() => signIn(daemon, 'center-1'), named('InvalidLogin'));
    await turn();
    assert.ok(!daemon.host.registry.read(rootFolder, 'permission')?.some((p) => p.principal === 'vpxuser'));
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('a center that takes a host from another one is alone with it', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    await register(daemon, 'z-center', 'https://one.example/sdk');
    const old = signIn(daemon, 'z-center');
    await new Promise((resolve) => setTimeout(resolve, 2));
    await register(daemon, 'a-center', 'https://two.example:8443/sdk');
    await turn();
    assert.equal(managedBy(daemon), 'two.example');
    assert.equal(old.ended, true);
    assert.throws(() => signIn(daemon, 'z-center'), named('InvalidLogin'));
    assert.equal(signIn(daemon, 'a-center').userName, 'vpxuser');
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('nobody signs in as the center by a password', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    await register(daemon, 'center-1', 'https://192.0.2.7/sdk');
    const password = 'Very-secret-2';
    const user = { _typeName: 'HostAccountSpec', id: 'vpxuser', password };
    const other = { ...user, id: 'ann' };
    for (const each of [user, other]) await daemon.call(accountManager, 'CreateUser', { user: each });
    const login = (userName: string) => daemon.host.sessions.signIn({ userName, password }, connection);
    assert.equal((await login('ann')).session.userName, 'ann');
    for (const name of ['vpxuser', 'VPXUSER']) await assert.rejects(login(name), named('InvalidLogin'));
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('a message for everybody who signs in is an option of the host, kept over restarts', async () => {
  const computer = await Computer.make();
  try {
    const first = await computer.start();
    const changedValue = [{ _typeName: 'OptionValue', key: 'Annotations.WelcomeMessage', value: 'Hello' }];
    await first.call(options, 'UpdateOptions', { changedValue });
    await first.host.close();
    const daemon = await computer.start();
    assert.equal(daemon.host.registry.read(sessionManager, 'message'), 'Hello');
    assert.deepEqual(daemon.host.registry.read(host, 'configManager')?.advancedOption?.value, options.value);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('what a center does for somebody names both', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    await register(daemon, 'center-1', 'https://192.0.2.7/sdk');
    const { registry, dispatcher } = daemon.host;
    const session = signIn(daemon, 'center-1');
    const call = (self: ManagedObjectReference, name: string, args: Record<string, unknown>) =>
      dispatcher.invoke({
        self,
        method: registry.schema.method(name)!,
        args,
        session,
        version: '8.0.3.0',
        signal: new AbortController().signal,
        connection,
        context: { realUser: 'VSPHERE.LOCAL\\ann' },
      });
    const { value } = await call(vmFolder, 'CreateVM_Task', smallMachine('web'));
    await daemon.finished(value as ManagedObjectReference<'Task'>);
    await call(registry.read(host, 'datastore')![0]!, 'RenameDatastore', { newName: 'fast' });
    const info = registry.read(value as ManagedObjectReference<'Task'>, 'info');
    assert.equal((info?.reason as { readonly userName?: string } | undefined)?.userName, 'vpxuser:VSPHERE.LOCAL\\ann');
    const eventManager: ManagedObjectReference<'EventManager'> = { type: 'EventManager', value: 'ha-eventmgr' };
    assert.equal(registry.read(eventManager, 'latestEvent')?.userName, 'vpxuser:VSPHERE.LOCAL\\ann');
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
