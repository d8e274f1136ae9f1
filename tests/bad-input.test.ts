import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  type Client,
  createClient,
  data,
  type ManagedObjectReference,
  VimFault,
  type VirtualDeviceConfigSpec,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import { Daemon } from './harness/daemon.ts';
import { guestVmx } from './harness/guest-folder.ts';
import { added } from './harness/guest-machine.ts';
import { leavesNothing, memoryOf } from './harness/host-state.ts';
import { envelope, rawRequest, soapFault } from './harness/raw-request.ts';

const vmFolder: ManagedObjectReference<'Folder'> = { type: 'Folder', value: 'ha-folder-vm' };
const pool: ManagedObjectReference<'ResourcePool'> = { type: 'ResourcePool', value: 'ha-root-pool' };
const megabyte = 1024 ** 2;

describe('bad input', () => {
  let daemon: Daemon;
  let client: Client;
  let work: string;
  before(async () => {
    work = await mkdtemp(join(tmpdir(), 'hypostyle-bad-'));
    daemon = await Daemon.start();
    client = await connect();
  });
  after(async () => {
    await client?.[Symbol.asyncDispose]();
    await daemon?.remove();
    await rm(work, { recursive: true, force: true });
  });

  async function connect(userName = daemon.username, password = daemon.password): Promise<Client> {
    const made = createClient({ url: daemon.url, tls: { insecure: true } });
    await made.signIn(userName, password);
    return made;
  }

  const clean = <Result>(run: () => Promise<Result>) => leavesNothing(daemon, client, run);

  /** The call, or its task, ends with a fault of this type; nothing stays of it. */
  async function refused(type: string, run: () => Promise<unknown>): Promise<VimFault> {
    const error = await clean(() =>
      run().then(
        () => assert.fail(`it was done, and not refused with ${type}`),
        (thrown: unknown) => thrown,
      ),
    );
    assert.ok(error instanceof VimFault, String(error));
    assert.equal(error.type, type, error.message);
    assert.ok(error.message.length > 10, error.message);
    return error;
  }

  async function create(changes: Partial<VirtualMachineConfigSpec>, as = client): Promise<unknown> {
    const config = { name: 'bad', guestId: 'otherGuest64', files: { vmPathName: '[datastore1]' }, ...changes };
    return as.waitForTask(await as.call(vmFolder, 'CreateVM_Task', { config, pool }));
  }

  const scsi = added(data('ParaVirtualSCSIController', { key: 1000, busNumber: 0, sharedBus: 'noSharing' }));

  function disk(
    capacityInKB: number,
    thinProvisioned: boolean,
    fileName = '',
    unitNumber = 0,
  ): VirtualDeviceConfigSpec {
    const backing = data('VirtualDiskFlatVer2BackingInfo', { fileName, diskMode: 'persistent', thinProvisioned });
    const device = data('VirtualDisk', {
      key: -1 - unitNumber,
      controllerKey: 1000,
      unitNumber,
      capacityInKB,
      backing,
    });
    return { ...added(device), fileOperation: 'create' };
  }

  describe('of requests', () => {
    const contentCall =
      '<RetrieveServiceContent xmlns="urn:vim25"><_this type="ServiceInstance">%</_this></RetrieveServiceContent>';

    async function faultOf(body: string | Iterable<Uint8Array>, headers: Record<string, string> = {}): Promise<string> {
      const answer = await clean(() => rawRequest(daemon, { body, headers }));
      assert.equal(answer.status, 500);
      assert.match(answer.text, /<faultstring>.{10,}<\/faultstring>/);
      return soapFault(answer) ?? `no fault: ${answer.text}`;
    }

    async function cookie(): Promise<string> {
      const login = `<Login xmlns="urn:vim25"><_this type="SessionManager">ha-sessionmgr</_this><userName>${daemon.username}</userName><password>${daemon.password}</password></Login>`;
      const { headers } = await rawRequest(daemon, { body: envelope(login) });
      return String(headers['set-cookie']).split(';', 1)[0] ?? '';
    }

    it('XML with a DOCTYPE', async () => {
      const body = envelope(contentCall.replace('%', 'ServiceInstance'));
      const entity = '<!DOCTYPE e [<!ENTITY secret SYSTEM "file:///etc/passwd">]>';
      const bomb = `<!DOCTYPE e [<!ENTITY a "${'x'.repeat(1000)}">${'bcdefgh'
        .split('')
        .map((name, index) => `<!ENTITY ${name} "${`&${'abcdefg'[index]};`.repeat(10)}">`)
        .join('')}]>`;
      for (const doctype of [entity, bomb, '<!DOCTYPE e>', '<!DOCTYPE e SYSTEM "http://127.0.0.1:1/e.dtd">']) {
        assert.equal(await faultOf(body.replace('?>', `?>${doctype}`)), 'InvalidRequest');
      }
      assert.equal(await faultOf(envelope(contentCall.replace('%', '&secret;'))), 'InvalidRequest');
    });

    it('a SOAP body of 100 MB', async () => {
      const piece = Buffer.alloc(megabyte, 'x');
      const start = `<CreateVM_Task xmlns="urn:vim25"><_this type="Folder">ha-folder-vm</_this><config><annotation>`;
      const length = `${100 * megabyte + start.length}`;
      const hundred = function* () {
        yield Buffer.from(envelope(start).replace('</soapenv:Body></soapenv:Envelope>', ''));
        for (let count = 0; count < 100; count += 1) yield piece;
      };
      const session = await cookie();
      const small = Buffer.from(envelope(contentCall.replace('%', 'ServiceInstance')));
      await rawRequest(daemon, { body: [small] });
      const before = await memoryOf(daemon);
      assert.equal(await faultOf(hundred(), { cookie: session }), 'InvalidRequest');
      const first = await memoryOf(daemon);
      assert.ok(first.most - before.most < 90, `at most ${before.most} MiB became ${first.most}`);
      for (const headers of [{}, { cookie: session, 'content-length': length }]) {
        assert.equal(await faultOf(hundred(), headers), 'InvalidRequest');
      }
      const json = await clean(() =>
        rawRequest(daemon, {
          path: '/sdk/vim25/8.0.3.0/Folder/ha-folder-vm/CreateVM_Task',
          headers: { 'content-type': 'application/json', cookie: session },
          body: hundred(),
        }),
      );
      assert.ok(json.status >= 400 && json.status < 500, `${json.status}`);
      for (let count = 0; count < 6; count += 1) await rawRequest(daemon, { body: hundred() });
      const last = await memoryOf(daemon);
      // What was refused is garbage that is collected now and then, and does not add up: 1 GB was sent.
      assert.ok(last.most - before.most < 250, `at most ${before.most} MiB became ${last.most}`);
    });

    it('what is no SOAP, or breaks off', async () => {
      for (const body of ['', 'hello', '<', '\0\0', envelope('').slice(0, -20), '<a><b></a></b>', '{"a": 1}']) {
        assert.equal(await faultOf(body), 'InvalidRequest', JSON.stringify(body));
      }
      assert.equal(await faultOf(`${'<a>'.repeat(100_000)}`), 'InvalidRequest');
    });

    it('unknown method', async () => {
      const call = '<MakeCoffee xmlns="urn:vim25"><_this type="VirtualMachine">1</_this></MakeCoffee>';
      assert.equal(await faultOf(envelope(call)), 'InvalidRequest');
      assert.equal(await faultOf(envelope(call), { cookie: await cookie() }), 'InvalidRequest');
      const wrongType = '<PowerOnVM_Task xmlns="urn:vim25"><_this type="Folder">ha-folder-vm</_this></PowerOnVM_Task>';
      assert.match(
        await faultOf(envelope(wrongType), { cookie: await cookie() }),
        /^(InvalidRequest|InvalidType|MethodNotFound)$/,
      );
      const answer = await rawRequest(daemon, {
        path: '/sdk/vim25/8.0.3.0/VirtualMachine/1/MakeCoffee',
        headers: { 'content-type': 'application/json', cookie: await cookie() },
        body: '{}',
      });
      assert.equal(answer.status, 404);
      assert.match(answer.text, /"_typeName":"\w+"/);
    });

    it('wrong argument types', async () => {
      const headers = { cookie: await cookie() };
      const call = (config: string) =>
        envelope(
          `<CreateVM_Task xmlns="urn:vim25"><_this type="Folder">ha-folder-vm</_this><config>${config}</config><pool type="ResourcePool">ha-root-pool</pool></CreateVM_Task>`,
        );
      const files = '<files><vmPathName>[datastore1]</vmPathName></files>';
      for (const [config, type] of [
        ['<memoryMB>much</memoryMB>', 'InvalidType'],
        ['<memoryMB>99999999999999999999</memoryMB>', 'InvalidType'],
        ['<numCPUs>1.5</numCPUs>', 'InvalidType'],
        ['<cpuHotAddEnabled>perhaps</cpuHotAddEnabled>', 'InvalidType'],
        ['<noSuchMember>1</noSuchMember>', 'InvalidRequest'],
        [`<name>bad</name>${files}<deviceChange><device xsi:type="Folder"/></deviceChange>`, 'InvalidType'],
        [`<name>bad</name>${files}<deviceChange><device xsi:type="VirtualHyperNic"/></deviceChange>`, 'InvalidType'],
        ['<name>bad</name><files xsi:type="HostListSummary"/>', 'InvalidType'],
        [`<name>bad</name>${files}<numCPUs>-1</numCPUs>`, 'InvalidArgument'],
        [`<name>bad</name>${files}<memoryMB>0</memoryMB>`, 'InvalidArgument'],
      ] as const) {
        const found = await faultOf(call(config), headers);
        // The two name the same thing: a value that its type does not have.
        const allowed = type === 'InvalidType' ? ['InvalidType', 'InvalidArgument'] : [type];
        assert.ok(allowed.includes(found), `${config}: ${found}`);
      }
      const destroy = '<Destroy_Task xmlns="urn:vim25"><_this type="VirtualMachine">4711</_this></Destroy_Task>';
      assert.equal(await faultOf(envelope(destroy), headers), 'ManagedObjectNotFound');
    });

    it('expired session', async () => {
      const session = await cookie();
      const destroy = '<Destroy_Task xmlns="urn:vim25"><_this type="VirtualMachine">1</_this></Destroy_Task>';
      const invented = session.replace(/=.*/, `=${'0'.repeat(40)}`);
      for (const headers of [{}, { cookie: invented }]) {
        assert.equal(await faultOf(envelope(destroy), headers), 'NotAuthenticated');
      }
      const time = '<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>';
      assert.equal((await rawRequest(daemon, { body: envelope(time), headers: { cookie: session } })).status, 200);
      const { sessionManager } = await client.content();
      assert.ok(sessionManager);
      const [read] = await client.retrieve(sessionManager, ['sessionList', 'currentSession']);
      const others = (read?.values.sessionList ?? []).map(({ key }) => key);
      const own = read?.values.currentSession?.key;
      await client.call(sessionManager, 'TerminateSession', { sessionId: others.filter((key) => key !== own) });
      for (const call of [destroy, time]) {
        assert.equal(await faultOf(envelope(call), { cookie: session }), 'NotAuthenticated');
      }
      const upload = await rawRequest(daemon, {
        path: '/folder/late.iso?dcPath=ha-datacenter&dsName=datastore1',
        method: 'PUT',
        headers: { cookie: session, 'content-type': 'application/octet-stream' },
        body: 'late',
      });
      assert.equal(upload.status, 401);
      assert.ok(!(await readdir(daemon.datastore)).includes('late.iso'));
    });

    it('a file that would lie outside the datastore', async () => {
      const headers = { cookie: await cookie(), 'content-type': 'application/octet-stream' };
      for (const path of [
        '/folder/../../out.iso',
        '/folder/%2e%2e/%2e%2e/out.iso',
        '/folder/a%00b',
        '/folder/..%2fout.iso',
      ]) {
        const answer = await clean(() =>
          rawRequest(daemon, {
            path: `${path}?dcPath=ha-datacenter&dsName=datastore1`,
            method: 'PUT',
            headers,
            body: 'x',
          }),
        );
        assert.ok(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`);
      }
      assert.deepEqual(
        (await readdir(daemon.home, { recursive: true })).filter((name) => name.includes('out.iso')),
        [],
      );
    });
  });

  describe('of machines', () => {
    it('disk larger than the datastore', async () => {
      const huge = 60 * 1024 ** 3;
      await refused('NoDiskSpace', () => create({ deviceChange: [scsi, disk(huge, true)] }));
      await refused('NoDiskSpace', () => create({ deviceChange: [scsi, disk(huge, false)] }));
      await refused('NoDiskSpace', () => create({ deviceChange: [scsi, disk(64, true), disk(huge, true, '', 1)] }));
    });

    it('disk of no size, beyond any size, or elsewhere', async () => {
      for (const capacity of [0, -1, 2 ** 52]) {
        const error = await create({ deviceChange: [scsi, disk(capacity, true)] }).catch((thrown: unknown) => thrown);
        assert.ok(error instanceof VimFault && error.type !== 'SystemError', String(error));
      }
      for (const path of ['../../../../tmp/climbing.vmdk', '/tmp/climbing.vmdk', '[datastore1] ../climbing.vmdk']) {
        await refused('InvalidDatastorePath', () => create({ deviceChange: [scsi, disk(64, true, path)] }));
      }
      await refused('InvalidDatastore', () => create({ files: { vmPathName: '[elsewhere]' } }));
      await refused('InvalidDatastorePath', () => create({ files: { vmPathName: '[datastore1] ../../bad' } }));
    });

    it('NIC model that does not exist', async () => {
      const backing = data('VirtualEthernetCardNetworkBackingInfo', { deviceName: 'VM Network' });
      const nic = added(data('VirtualSriovEthernetCard', { key: -5, backing }));
      await refused('DeviceUnsupportedForVmPlatform', () => create({ deviceChange: [nic] }));
      await mkdir(join(daemon.datastore, 'hyper'), { recursive: true });
      const text = guestVmx({ name: 'hyper', disk: 'hyper.vmdk' }).replace('"e1000"', '"hyper9000"');
      await writeFile(join(daemon.datastore, 'hyper', 'hyper.vmx'), text);
      const error = await refused('InvalidVmConfig', async () => {
        const path = '[datastore1] hyper/hyper.vmx';
        return client.waitForTask(
          await client.call(vmFolder, 'RegisterVM_Task', { path, name: 'hyper', asTemplate: false, pool }),
        );
      });
      assert.match(error.message, /ethernet0.*hyper9000/);
      await rm(join(daemon.datastore, 'hyper'), { recursive: true });
    });

    it('missing privilege', async () => {
      const { accountManager, authorizationManager, fileManager } = await client.content();
      assert.ok(accountManager && authorizationManager && fileManager);
      const user = { id: 'reader', password: 'a long enough Passw0rd' };
      await client.call({ type: 'HostLocalAccountManager', value: accountManager.value }, 'CreateUser', { user });
      const made = await create({ name: 'kept' });
      const machine = made as ManagedObjectReference<'VirtualMachine'>;
      {
        await using nobody = await connect(user.id, user.password);
        const [hidden] = await nobody.retrieve(machine, ['name', 'config']);
        assert.deepEqual(hidden?.values ?? {}, {});
      }
      await client.call(authorizationManager, 'SetEntityPermissions', {
        entity: { type: 'Folder', value: 'ha-folder-root' },
        permission: [{ principal: user.id, group: false, roleId: -2, propagate: true }],
      });
      const reader = await connect(user.id, user.password);
      const [read] = await reader.retrieve(machine, ['name']);
      assert.equal(read?.values.name, 'kept');
      const done = async (task: Promise<ManagedObjectReference<'Task'>>) => reader.waitForTask(await task);
      for (const [privilege, run] of [
        ['VirtualMachine.Interact.PowerOn', () => done(reader.call(machine, 'PowerOnVM_Task', {}))],
        ['VirtualMachine.Inventory.Delete', () => done(reader.call(machine, 'Destroy_Task', {}))],
        [
          'VirtualMachine.Config.Memory',
          () => done(reader.call(machine, 'ReconfigVM_Task', { spec: { memoryMB: 64 } })),
        ],
        ['VirtualMachine.Inventory.Create', () => create({ name: 'of the reader' }, reader)],
        [
          'Datastore.FileManagement',
          () =>
            reader.call(fileManager, 'MakeDirectory', { name: '[datastore1] mine', createParentDirectories: false }),
        ],
      ] as const) {
        const error = await refused('NoPermission', run);
        const { privilegeId } = error.detail as { readonly privilegeId?: string };
        assert.equal(privilegeId, privilege);
      }
      await reader[Symbol.asyncDispose]();
      const [still] = await client.retrieve(machine, ['runtime']);
      assert.equal(still?.values.runtime?.powerState, 'poweredOff');
      await client.waitForTask(await client.call(machine, 'Destroy_Task', {}));
      await client.call({ type: 'HostLocalAccountManager', value: accountManager.value }, 'RemoveUser', {
        userName: user.id,
      });
    });
  });

  it('is no defect of the host', async () => {
    assert.ok(daemon.running);
    const log = await readFile(join(daemon.home, 'log', 'hypostyle.log'), 'utf8');
    const bad = log.split('\n').filter((line) => /"level":"(error|fatal)"/.test(line));
    assert.deepEqual(bad, []);
  });
});
