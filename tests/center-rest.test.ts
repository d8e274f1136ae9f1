import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Center, type CenterHost, centerOf } from './harness/center.ts';
import { Curl } from './harness/curl.ts';
import { Daemon } from './harness/daemon.ts';
import { memoryMiBOf } from './harness/engines.ts';

// Every request is Debian's curl; what it did is looked at by SOAP, in the datastore and at the engine.
describe('the Automation interface of a center, by curl', () => {
  let daemon: Daemon;
  let center: Center;
  let host: CenterHost;
  let curl: Curl;
  let vm: string;

  before(async () => {
    daemon = await Daemon.start({ mode: 'center' });
    center = await centerOf(daemon);
    host = await center.localHost();
    curl = await Curl.signedIn(daemon);
  });
  after(async () => {
    await center?.[Symbol.asyncDispose]();
    await daemon?.remove();
  });

  const get = async <T>(path: string) => {
    const { status, body } = await curl.send('GET', path);
    assert.equal(status, 200, `${path}: ${status} ${JSON.stringify(body)}`);
    return body as T;
  };

  it('has sessions, old and new', async () => {
    const stranger = new Curl(daemon);
    assert.equal((await stranger.send('GET', '/api/vcenter/vm')).status, 401);
    const wrong = { username: daemon.username, password: 'wrong' };
    assert.equal((await stranger.basic('POST', '/api/session', wrong)).status, 401);
    const old = await stranger.basic('POST', '/rest/com/vmware/cis/session', daemon);
    assert.equal(old.status, 200);
    const token = (old.body as { readonly value: string }).value;
    const other = new Curl(daemon, [`vmware-api-session-id: ${token}`]);
    assert.deepEqual((await other.send('GET', '/rest/vcenter/vm')).body, { value: [] });
    assert.equal((await other.send('DELETE', '/rest/com/vmware/cis/session')).status, 200);
    assert.equal((await other.send('GET', '/rest/vcenter/vm')).status, 401);
    const { user } = await get<{ readonly user: string }>('/api/session');
    assert.match(user, /administrator/i);
  });

  it('lists what there is, by filters', async () => {
    type Row = Readonly<Record<string, unknown>>;
    const [datacenter] = await get<Row[]>('/api/vcenter/datacenter');
    assert.equal(datacenter?.name, 'Datacenter');
    assert.deepEqual(await get('/api/vcenter/datacenter?names=Nowhere'), []);
    const [row] = await get<Row[]>('/api/vcenter/host');
    assert.deepEqual([row?.host, row?.connection_state], [host.reference.value, 'CONNECTED']);
    assert.deepEqual(await get('/api/vcenter/host?connection_states=DISCONNECTED'), []);
    const folders = await get<Row[]>(`/api/vcenter/folder?type=VIRTUAL_MACHINE&datacenters=${datacenter?.datacenter}`);
    assert.deepEqual(
      folders.map(({ folder, name }) => [folder, name]),
      [[(await center.machineFolder()).value, 'vm']],
    );
    assert.equal((await get<Row[]>('/api/vcenter/datastore?names=datastore1')).length, 1);
    assert.equal((await get<Row[]>('/api/vcenter/network?types=STANDARD_PORTGROUP'))[0]?.name, 'VM Network');
    assert.equal((await get<Row[]>(`/api/vcenter/resource-pool?hosts=${host.reference.value}`)).length, 1);
    assert.deepEqual(await get('/api/vcenter/cluster'), []);
    const old = await get<{ value: Row[] }>('/rest/vcenter/datastore?filter.names=datastore1');
    assert.equal(old.value[0]?.name, 'datastore1');
    assert.equal((await curl.send('GET', '/api/vcenter/vm?unknown=1')).status, 400);
    assert.equal((await curl.send('GET', '/api/vcenter/vm/vm-999')).status, 404);
  });

  it('creates a machine, and drives its power', async () => {
    const [datastore] = await get<{ readonly datastore: string }[]>('/api/vcenter/datastore');
    const [network] = await get<{ readonly network: string }[]>('/api/vcenter/network');
    const created = await curl.send('POST', '/api/vcenter/vm', {
      name: 'by curl',
      guest_OS: 'OTHER_LINUX_64',
      placement: {
        folder: (await center.machineFolder()).value,
        host: host.reference.value,
        datastore: datastore?.datastore,
      },
      cpu: { count: 2 },
      memory: { size_MiB: 96 },
      disks: [{ new_vmdk: { capacity: 8 << 20 } }],
      nics: [{ type: 'VMXNET3', backing: { type: 'STANDARD_PORTGROUP', network: network?.network } }],
    });
    assert.equal(created.status, 201, JSON.stringify(created.body));
    vm = created.body as string;
    const machine = (await center.machines()).get('by curl');
    assert.equal(machine?.value, vm);
    assert.ok((await stat(join(daemon.datastore, 'by curl', 'by curl-flat.vmdk'))).size === 8 << 20);
    const info = await get<{ memory: { size_MiB: number }; disks: object; power_state: string }>(
      `/api/vcenter/vm/${vm}`,
    );
    assert.deepEqual([info.memory.size_MiB, info.power_state], [96, 'POWERED_OFF']);
    assert.equal(Object.keys(info.disks).length, 1);

    const power = (action: string) => curl.send('POST', `/api/vcenter/vm/${vm}/power?action=${action}`);
    assert.equal((await power('start')).status, 204);
    const [engine, ...others] = await daemon.engines();
    assert.ok(engine !== undefined && others.length === 0, 'one engine runs');
    assert.equal(memoryMiBOf(engine), 96);
    assert.equal((await power('start')).status, 400, 'it runs already');
    assert.deepEqual(
      (await get<{ vm: string }[]>('/api/vcenter/vm?power_states=POWERED_ON&names=by%20curl')).map((row) => row.vm),
      [vm],
    );
    assert.deepEqual(await get('/api/vcenter/vm?power_states=POWERED_OFF'), []);
    assert.equal((await curl.send('DELETE', `/api/vcenter/vm/${vm}`)).status, 400, 'it runs');
    assert.equal((await power('stop')).status, 204);
    assert.deepEqual(await daemon.engines(), []);
    assert.equal((await curl.send('PATCH', `/api/vcenter/vm/${vm}/hardware/memory`, { size_MiB: 128 })).status, 204);
    assert.ok(machine !== undefined);
    assert.equal(await center.property(machine, 'config.hardware.memoryMB'), 128);
  });

  it('has tags, which go with what they are on', async () => {
    const category = await curl.send('POST', '/api/cis/tagging/category', {
      name: 'stage',
      description: '',
      cardinality: 'SINGLE',
      associable_types: ['VirtualMachine'],
    });
    assert.equal(category.status, 201, JSON.stringify(category.body));
    const tag = async (name: string) => {
      const spec = { name, description: '', category_id: category.body };
      const { status, body } = await curl.send('POST', '/api/cis/tagging/tag', spec);
      assert.equal(status, 201, JSON.stringify(body));
      return body as string;
    };
    const [front, back] = [await tag('front'), await tag('back')];
    const object = { object_id: { id: vm, type: 'VirtualMachine' } };
    const association = (id: string, action: string) =>
      curl.send('POST', `/api/cis/tagging/tag-association/${encodeURIComponent(id)}?action=${action}`, object);
    assert.equal((await association(front, 'attach')).status, 204);
    assert.notEqual((await association(back, 'attach')).status, 204, 'one of a category at a time');
    const attached = await curl.send('POST', '/api/cis/tagging/tag-association?action=list-attached-tags', object);
    assert.deepEqual(attached.body, [front]);

    assert.equal((await curl.send('DELETE', `/api/vcenter/vm/${vm}`)).status, 204);
    await assert.rejects(stat(join(daemon.datastore, 'by curl')), /ENOENT/);
    const left = await curl.send(
      'POST',
      `/api/cis/tagging/tag-association/${encodeURIComponent(front)}?action=list-attached-objects`,
    );
    assert.deepEqual(left.body, []);
    for (const id of [front, back]) {
      assert.equal((await curl.send('DELETE', `/api/cis/tagging/tag/${encodeURIComponent(id)}`)).status, 204);
    }
    assert.deepEqual(await get('/api/cis/tagging/tag'), []);
  });

  it('answers what is asked of storage policies at sign-in', async () => {
    const call =
      '<PbmRetrieveServiceContent xmlns="urn:pbm"><_this type="PbmServiceInstance">ServiceInstance</_this></PbmRetrieveServiceContent>';
    const { status, body } = await curl.soap(
      '/pbm',
      `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>${call}</Body></Envelope>`,
    );
    assert.equal(status, 200);
    assert.match(`${body}`, /<profileManager type="PbmProfileProfileManager">/);
  });

  it('describes itself', async () => {
    const { status, body } = await new Curl(daemon).send('GET', '/api/openapi.json');
    assert.equal(status, 200);
    const document = body as { readonly openapi: string; readonly paths: Readonly<Record<string, object>> };
    assert.match(document.openapi, /^3\.0\./);
    for (const path of ['/api/session', '/api/vcenter/vm/{vm}/power', '/api/cis/tagging/tag']) {
      assert.ok(
        Object.keys(document.paths).some((each) => path.endsWith(each)),
        path,
      );
    }
  });
});
