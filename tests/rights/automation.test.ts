import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManagedObjectReference, Permissions, PersistenceWrite } from '@hypostyle/vim';
import { administrator, CenterInProcess, type Faces, recordedWrites } from '../harness/center-in-process.ts';
import { JsonCalls } from '../harness/json-calls.ts';

// What the Automation interface does asks for the same privileges as the methods behind it: whoever has every one but
// one is denied, is told which, and has changed nothing.

let at: CenterInProcess;
let center: Faces;
let writes: PersistenceWrite[];
let permissions: Permissions;
let token = '';
let administratorToken = '';
let role = { id: 0, name: '' };

before(async () => {
  at = await CenterInProcess.open({ machines: 1 });
  center = at.center;
  permissions = center.endpoint.authorizer as Permissions;
  administratorToken = (await center.signIn(administrator)).token;
  const admin = new JsonCalls(center, administratorToken);
  const [accounts] = center.endpoint.registry.all('HostLocalAccountManager');
  assert.ok(accounts !== undefined);
  const user = { _typeName: 'HostAccountSpec', id: 'ann', password: 'Correct-horse-7' };
  await admin.call(accounts.ref, 'CreateUser', { user });
  const signedIn = await center.signIn({ userName: 'ann', password: user.password });
  token = signedIn.token;
  role = await permissions.addRole('All but one', []);
  const entity = permissions.rootFolder as ManagedObjectReference<'ManagedEntity'>;
  const added = { entity, principal: signedIn.session.userName, group: false, roleId: role.id, propagate: true };
  await permissions.replace(new Map([[entity.value, [...permissions.on(entity), added]]]));
  writes = recordedWrites(at.centerDisk);
});
after(async () => {
  await at?.[Symbol.asyncDispose]();
  assert.deepEqual(at?.defects, []);
});

/** The identifier of an object by its type and name. */
function id(type: string, name: string): string {
  for (const object of center.endpoint.registry.all(type as 'Folder'))
    if (object.value('name') === name) return object.ref.value;
  throw new Error(`there is no ${type} ${name}`);
}

async function send(method: string, url: string, body: unknown, by = token) {
  const headers = { 'vmware-api-session-id': by };
  return center.automation({ method, url, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
}

interface Row {
  /** `METHOD /path` below `/api`. */
  readonly call: string;
  readonly body?: unknown;
  /** Each is needed. */
  readonly needs: readonly string[];
}

const vm = () => `/vcenter/vm/${id('VirtualMachine', 'vm-1')}`;

function inventoryRows(): Row[] {
  const place = {
    folder: id('Folder', 'vm'),
    resource_pool: id('ResourcePool', 'Resources'),
    datastore: id('Datastore', 'datastore1'),
  };
  const hostFolder = id('Folder', 'host');
  const [host] = center.endpoint.registry.all('HostSystem');
  const connect = { hostname: '192.0.2.99', user_name: 'root', password: 'x', thumbprint_verification: 'NONE' };
  return [
    { call: 'POST /vcenter/datacenter', body: { name: 'dc9', folder: 'group-d1' }, needs: ['Datacenter.Create'] },
    { call: `DELETE /vcenter/datacenter/${id('Datacenter', 'Datacenter')}`, needs: ['Datacenter.Delete'] },
    {
      call: 'POST /vcenter/resource-pool',
      body: { name: 'new', parent: place.resource_pool },
      needs: ['Resource.CreatePool'],
    },
    {
      call: 'POST /vcenter/host',
      body: { ...connect, folder: hostFolder },
      needs: ['Host.Inventory.AddStandaloneHost'],
    },
    { call: `POST /vcenter/host/${host?.ref.value}?action=disconnect`, needs: ['Host.Config.Connection'] },
    {
      call: 'POST /vcenter/vm',
      body: { name: 'new', guest_OS: 'DEBIAN_12_64', placement: place },
      needs: ['VirtualMachine.Inventory.Create', 'Resource.AssignVMToPool', 'Datastore.AllocateSpace'],
    },
    {
      call: 'POST /vcenter/vm?action=register',
      body: { datastore_path: '[datastore1] vm-1/vm-1.vmx', name: 'again', placement: place },
      needs: ['VirtualMachine.Inventory.Register', 'Resource.AssignVMToPool'],
    },
    { call: `POST ${vm()}?action=unregister`, needs: ['VirtualMachine.Inventory.Unregister'] },
    { call: `DELETE ${vm()}`, needs: ['VirtualMachine.Inventory.Delete'] },
  ];
}

function machineRows(): Row[] {
  const interact = (action: string, privilege: string): Row => ({
    call: `POST ${vm()}/power?action=${action}`,
    needs: [`VirtualMachine.Interact.${privilege}`],
  });
  const hardware = `${vm()}/hardware`;
  return [
    interact('start', 'PowerOn'),
    interact('stop', 'PowerOff'),
    interact('suspend', 'Suspend'),
    interact('reset', 'Reset'),
    { call: `PATCH ${hardware}/cpu`, body: { count: 2 }, needs: ['VirtualMachine.Config.CPUCount'] },
    { call: `PATCH ${hardware}/memory`, body: { size_MiB: 256 }, needs: ['VirtualMachine.Config.Memory'] },
    { call: `PATCH ${hardware}/boot`, body: { delay: 100 }, needs: ['VirtualMachine.Config.Settings'] },
    {
      call: `POST ${hardware}/disk`,
      body: { new_vmdk: { capacity: 1_048_576 } },
      needs: ['VirtualMachine.Config.AddNewDisk', 'Datastore.AllocateSpace'],
    },
    { call: `DELETE ${hardware}/disk/2000`, needs: ['VirtualMachine.Config.RemoveDisk'] },
    {
      call: `POST ${hardware}/ethernet`,
      body: { backing: { type: 'STANDARD_PORTGROUP', network: id('Network', 'VM Network') } },
      needs: ['VirtualMachine.Config.AddRemoveDevice', 'Network.Assign'],
    },
    { call: `POST ${hardware}/floppy`, body: {}, needs: ['VirtualMachine.Config.AddRemoveDevice'] },
    { call: `POST ${hardware}/adapter/scsi`, body: {}, needs: ['VirtualMachine.Config.AddRemoveDevice'] },
  ];
}

async function tagRows(): Promise<Row[]> {
  const make = async (url: string, body: object) => {
    const { body: text, status } = await send('POST', `/api/cis/tagging${url}`, body, administratorToken);
    assert.equal(status, 201, text);
    return JSON.parse(text) as string;
  };
  const category = { name: 'c', description: '', cardinality: 'MULTIPLE', associable_types: [] };
  const categoryId = await make('/category', category);
  const tag = { name: 't', description: '', category_id: categoryId };
  const tagId = await make('/tag', tag);
  const ofCategory = `/cis/tagging/category/${encodeURIComponent(categoryId)}`;
  const ofTag = `/cis/tagging/tag/${encodeURIComponent(tagId)}`;
  const association = `/cis/tagging/tag-association/${encodeURIComponent(tagId)}`;
  const object = { object_id: { id: id('VirtualMachine', 'vm-1'), type: 'VirtualMachine' } };
  const needs = (word: string) => [`InventoryService.Tagging.${word}`];
  return [
    { call: 'POST /cis/tagging/category', body: { ...category, name: 'd' }, needs: needs('CreateCategory') },
    { call: `PATCH ${ofCategory}`, body: { description: 'x' }, needs: needs('EditCategory') },
    { call: `DELETE ${ofCategory}`, needs: needs('DeleteCategory') },
    { call: 'POST /cis/tagging/tag', body: { ...tag, name: 'u' }, needs: needs('CreateTag') },
    { call: `PATCH ${ofTag}`, body: { description: 'x' }, needs: needs('EditTag') },
    { call: `DELETE ${ofTag}`, needs: needs('DeleteTag') },
    { call: `POST ${association}?action=attach`, body: object, needs: needs('AttachTag') },
    { call: `POST ${association}?action=detach`, body: object, needs: needs('AttachTag') },
  ];
}

/** Sends each without one of what it needs, in the new spelling. */
async function denies(rows: readonly Row[]): Promise<void> {
  for (const { call, body, needs } of rows) {
    const [method = '', path = ''] = call.split(' ');
    for (const privilege of needs) {
      const others = permissions.privileges.filter((each) => each !== privilege);
      await permissions.updateRole(role.id, role.name, others);
      const before = writes.length;
      const tasks = [...center.endpoint.registry.all('Task')].length;
      const answer = await send(method, `/api${path}`, body);
      const where = `${call} without ${privilege}: ${answer.status} ${answer.body}`;
      assert.equal(answer.status, 403, where);
      assert.ok(answer.body.includes(privilege), where);
      const written = writes.slice(before).map((write) => Object.values(write)[0]?.collection as string);
      assert.deepEqual(
        written.filter((collection) => !['events', 'last-known'].includes(collection)),
        [],
        where,
      );
      assert.equal([...center.endpoint.registry.all('Task')].length, tasks, where);
      const unsigned = await send(method, `/api${path}`, body, 'nobody');
      assert.equal(unsigned.status, 401, where);
    }
  }
}

test('places, hosts, pools and machines are made and removed by the privileges of their methods', () =>
  denies(inventoryRows()));
test('machines are powered and changed by the privileges of their methods', () => denies(machineRows()));
test('categories, tags and what they are attached to have privileges of their own', async () =>
  denies(await tagRows()));
