import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HttpClient } from './testing/http-client.ts';
import { servedCenter } from './testing/served-center.ts';
import { SmallCenter } from './testing/small-center.ts';

const { center, http, token } = await servedCenter();

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});

async function get(path: string, as = token) {
  const answer = await http.send('GET', path, { token: as });
  assert.equal(answer.status, 200, `${path} ${answer.text}`);
  return answer.json;
}

test('a session begins by Basic sign-in in either style, works in both and in SOAP, and ends', async () => {
  for (const [path, status] of [
    ['/api/session', 201],
    ['/rest/com/vmware/cis/session', 200],
  ] as const) {
    const begun = await http.send('POST', path, { headers: basic('root', 'secret') });
    assert.equal(begun.status, status);
    const made = (path.startsWith('/api') ? begun.json : begun.json.value) as string;
    assert.match(String(begun.headers['set-cookie']), new RegExp(`^vmware-api-session-id=${made};.*HttpOnly; Secure`));
    assert.equal(center.sessions.byToken(made)?.userName, 'root');
    assert.equal((await get('/api/session', made)).user, 'root');
    const old = await http.send('POST', '/rest/com/vmware/cis/session?~action=get', { token: made, body: {} });
    assert.equal(old.json.value.user, 'root');
    const soap = await http.send('GET', '/api/session', { headers: { cookie: `vmware_soap_session="${made}"` } });
    assert.equal(soap.status, 200);
    const ended = await http.send('DELETE', path, { token: made });
    assert.equal(ended.status, path.startsWith('/api') ? 204 : 200);
    assert.equal((await http.send('GET', '/api/vcenter/vm', { token: made })).status, 401);
  }
});

test('a wrong password is refused, and guessing is locked out', async () => {
  const wrong = await http.send('POST', '/api/session', { headers: basic('reader', 'wrong') });
  assert.equal(wrong.status, 401);
  assert.equal(wrong.json.error_type, 'UNAUTHENTICATED');
  for (let guess = 0; guess < 8; guess += 1) {
    await http.send('POST', '/rest/com/vmware/cis/session', { headers: basic('reader', `guess ${guess}`) });
  }
  const locked = await http.send('POST', '/api/session', { headers: basic('reader', 'secret') });
  assert.equal(locked.status, 401);
});

test('a cookie that a browser sends for another site is no session', async () => {
  const cookie = `vmware-api-session-id=${token}`;
  for (const headers of [
    { cookie, 'sec-fetch-site': 'cross-site' },
    { cookie, origin: 'https://elsewhere.example' },
  ] as Record<string, string>[]) {
    assert.equal((await http.send('POST', '/api/vcenter/vm/vm-2/power?action=start', { headers })).status, 401);
  }
  assert.equal((await http.send('GET', '/api/vcenter/vm', { headers: { cookie } })).status, 200);
});

test('a list is bare in one style and a value in the other', async () => {
  const first = { vm: 'vm-1', name: 'machine-1', power_state: 'POWERED_ON', cpu_count: 2, memory_size_MiB: 1_024 };
  const [api] = await get('/api/vcenter/vm');
  const rest = await get('/rest/vcenter/vm');
  assert.deepEqual(api, first);
  assert.deepEqual(rest.value[0], first);
  assert.equal(rest.value.length, 3);
});

test('machines are filtered by all that the interface names', async () => {
  const vms = async (query: string) =>
    (await get(`/api/vcenter/vm?${query}`)).map(({ vm }: { vm: string }) => vm).join(' ');
  assert.equal(await vms('names=machine-2'), 'vm-2');
  assert.equal(await vms('names=machine-2&names=machine-3'), 'vm-2 vm-3');
  assert.equal(await vms('vms=vm-3&vms=vm-1&vms=host-1'), 'vm-3 vm-1');
  assert.equal(await vms('power_states=POWERED_ON'), 'vm-1');
  assert.equal(await vms('power_states=POWERED_ON,POWERED_OFF&hosts=host-2'), 'vm-3');
  assert.equal(await vms('clusters=domain-c1'), 'vm-1 vm-2');
  assert.equal(await vms('folders=group-v2'), 'vm-2');
  assert.equal(await vms('resource_pools=resgroup-2'), 'vm-3');
  assert.equal(await vms('datacenters=datacenter-1'), 'vm-1 vm-2 vm-3');
  assert.equal(await vms('datacenters=datacenter-9'), '');
  const old = await get('/rest/vcenter/vm?filter.names.1=machine-1&filter.power_states=POWERED_ON');
  assert.deepEqual(
    old.value.map(({ vm }: { vm: string }) => vm),
    ['vm-1'],
  );
  const state = await http.send('GET', '/api/vcenter/vm?power_states=ON', { token });
  assert.match(state.text, /power_states\.0 is none of POWERED_OFF, POWERED_ON, SUSPENDED/);
  for (const query of ['power_states=ON', 'no_such=1']) {
    assert.equal((await http.send('GET', `/api/vcenter/vm?${query}`, { token })).status, 400);
  }
});

test('who may read one machine sees that one, and no other object', async () => {
  const own = await center.token('one-machine');
  assert.deepEqual(
    (await get('/api/vcenter/vm', own)).map(({ vm }: { vm: string }) => vm),
    ['vm-2'],
  );
  for (const kind of ['host', 'folder', 'datastore', 'network', 'cluster', 'datacenter', 'resource-pool']) {
    assert.deepEqual(await get(`/api/vcenter/${kind}`, own), []);
  }
  assert.equal((await http.send('GET', '/api/vcenter/vm/vm-1', { token: own })).status, 403);
  assert.equal((await http.send('GET', '/api/vcenter/vm/vm-2', { token: own })).status, 200);
});

test('inventory is told in the words of the interface', async () => {
  assert.deepEqual(await get('/api/vcenter/host'), [
    { host: 'host-1', name: 'host1.example', connection_state: 'CONNECTED', power_state: 'POWERED_ON' },
    { host: 'host-2', name: 'host2.example', connection_state: 'NOT_RESPONDING' },
  ]);
  assert.equal((await get('/api/vcenter/host?standalone=true')).length, 1);
  assert.deepEqual(await get('/api/vcenter/cluster'), [
    { cluster: 'domain-c1', name: 'cluster1', ha_enabled: true, drs_enabled: false },
  ]);
  assert.deepEqual(await get('/api/vcenter/cluster/domain-c1'), { name: 'cluster1', resource_pool: 'resgroup-1' });
  assert.deepEqual(await get('/api/vcenter/datastore'), [
    { datastore: 'datastore-1', name: 'datastore1', type: 'NFS', free_space: 1_000, capacity: 2_000 },
  ]);
  assert.deepEqual(await get('/api/vcenter/network'), [
    { network: 'network-1', name: 'VM Network', type: 'STANDARD_PORTGROUP' },
  ]);
  const folders = await get('/api/vcenter/folder?type=VIRTUAL_MACHINE');
  assert.deepEqual(folders, [
    { folder: 'group-v1', name: 'vm', type: 'VIRTUAL_MACHINE' },
    { folder: 'group-v2', name: 'inner', type: 'VIRTUAL_MACHINE' },
  ]);
  assert.equal((await get('/api/vcenter/datacenter/datacenter-1')).vm_folder, 'group-v1');
  assert.equal((await get('/api/vcenter/resource-pool?clusters=domain-c1')).length, 2);
  assert.equal((await get('/api/appliance/system/version')).version, '8.0.3');
});

test('a machine is told whole; maps are lists in the old style', async () => {
  const machine = await get('/api/vcenter/vm/vm-1');
  assert.equal(machine.guest_OS, 'DEBIAN_12_64');
  assert.equal(machine.hardware.version, 'VMX_19');
  assert.equal(machine.boot.type, 'EFI');
  assert.deepEqual(machine.disks['2000'], {
    label: 'Hard disk 1',
    type: 'SCSI',
    scsi: { bus: 0, unit: 0 },
    backing: { type: 'VMDK_FILE', vmdk_file: '[datastore1] machine-1/machine-1.vmdk' },
    capacity: 1_073_741_824,
  });
  assert.equal(machine.nics['4000'].backing.network, 'network-1');
  assert.equal(machine.nics['4000'].state, 'CONNECTED');
  assert.equal(machine.cdroms['16000'].backing.iso_file, '[datastore1] install.iso');
  assert.deepEqual(machine.scsi_adapters['1000'].sharing, 'NONE');
  const old = (await get('/rest/vcenter/vm/vm-1')).value;
  assert.deepEqual(old.disks, [{ key: '2000', value: machine.disks['2000'] }]);
  assert.deepEqual(old.parallel_ports, [{ key: '10000', value: machine.parallel_ports['10000'] }]);
  assert.deepEqual(machine.parallel_ports['10000'].backing, { type: 'FILE', file: '[datastore1] print.out' });
  assert.deepEqual(await get('/api/vcenter/vm/vm-1/hardware/disk'), [{ disk: '2000' }]);
});

test('programs and files of guests are what vim25 makes of them', async () => {
  const credentials = { interactive_session: false, type: 'USERNAME_PASSWORD', user_name: 'ann', password: 'secret' };
  const send = (path: string, body: object) =>
    http.send('POST', `/api/vcenter/vm/vm-1/guest/${path}`, { token, body: { credentials, ...body } });
  const started = await send('processes?action=create', {
    spec: { path: '/bin/sh', arguments: '-c true', environment_variables: { A: 'b' } },
  });
  assert.deepEqual([started.status, started.json], [201, 812]);
  const [, args] = center.inGuests.at(-1) ?? [];
  assert.deepEqual(args?.auth, {
    _typeName: 'NamePasswordAuthentication',
    interactiveSession: false,
    username: 'ann',
    password: 'secret',
  });
  const { programPath, envVariables } = (args?.spec ?? {}) as { programPath?: string; envVariables?: string[] };
  assert.deepEqual([programPath, envVariables], ['/bin/sh', ['A=b']]);
  const process = {
    name: 'sh',
    owner: 'ann',
    command: 'sh -c true',
    started: '2026-01-01T00:00:00Z',
    finished: '2026-01-01T00:00:01Z',
    exit_code: 3,
  };
  assert.deepEqual((await send('processes?action=list', {})).json, [{ ...process, pid: 812 }]);
  assert.deepEqual((await send('processes/812?action=get', {})).json, process);
  assert.equal((await send('processes/812?action=delete', {})).status, 404);
  assert.equal((await send('processes/x?action=get', {})).status, 404);
  assert.deepEqual((await send('environment?action=list', {})).json, { A: 'b=c' });
  assert.equal((await send('environment/A?action=get', {})).json, 'b=c');
  const list = await send('filesystem/files?action=list', { path: '/', iteration: { index: 2, size: 1 } });
  assert.deepEqual(list.json, {
    files: [{ filename: 'a', type: 'DIRECTORY', size: 10 }],
    total: 7,
    start_index: 2,
    end_index: 2,
    status: 'READY',
  });
  const update = { path: '/x', file_attributes: { posix: { permissions: '0640', owner_id: 7 } } };
  assert.equal((await send('filesystem/files?action=update', update)).status, 204);
  const { permissions, ownerId } = (center.inGuests.at(-1)?.[1].fileAttributes ?? {}) as Record<string, unknown>;
  assert.deepEqual([permissions, ownerId], [0o640, 7]);
  const upload = await send('filesystem?action=create', { spec: { path: '/x', attributes: { size: 3 } } });
  assert.deepEqual([upload.status, upload.json], [201, 'https://*:443/guestFile?id=1&token=x']);
  const missing = { credentials: { interactive_session: false, type: 'USERNAME_PASSWORD' } };
  assert.equal(
    (await http.send('POST', '/api/vcenter/vm/vm-1/guest/processes?action=list', { token, body: missing })).status,
    400,
  );
});

test('a console has an address', async () => {
  const tickets = '/api/vcenter/vm/vm-1/console/tickets';
  const made = await http.send('POST', tickets, { token, body: { type: 'WEBMKS' } });
  assert.deepEqual([made.status, made.json], [201, { ticket: 'wss://*/ticket/x' }]);
});

test('what the guest tells is told, where tools run', async () => {
  assert.equal((await get('/api/vcenter/vm/vm-1/guest/identity')).family, 'LINUX');
  assert.deepEqual((await get('/rest/vcenter/vm/vm-1/guest/local-filesystem')).value, [
    { key: '/', value: { capacity: 1_000, free_space: 500 } },
  ]);
  const [card] = await get('/api/vcenter/vm/vm-1/guest/networking/interfaces');
  assert.deepEqual(card.ip.ip_addresses, [{ ip_address: '192.0.2.10', prefix_length: 24, state: 'PREFERRED' }]);
  assert.equal((await get('/api/vcenter/vm/vm-1/tools')).install_type, 'OPEN_VM_TOOLS');
  assert.equal((await http.send('GET', '/api/vcenter/vm/vm-2/guest/identity', { token })).status, 503);
});

test('power is switched by either spelling, and is told when it is so already', async () => {
  const post = (path: string) => http.send('POST', path, { token });
  assert.equal((await post('/api/vcenter/vm/vm-2/power?action=start')).status, 204);
  assert.deepEqual(await get('/api/vcenter/vm/vm-2/power'), { state: 'POWERED_ON' });
  const again = await post('/rest/vcenter/vm/vm-2/power/start');
  assert.equal(again.status, 400);
  assert.equal(again.json.type, 'com.vmware.vapi.std.errors.already_in_desired_state');
  assert.equal((await post('/rest/vcenter/vm/vm-2/power/stop')).status, 200);
  assert.deepEqual(await get('/api/vcenter/vm/vm-2/power'), { state: 'POWERED_OFF', clean_power_off: true });
  assert.equal((await post('/api/vcenter/vm/vm-9/power?action=start')).status, 404);
});

test('a machine is made with all that was asked for, and deleted', async () => {
  const placement = { folder: 'group-v1', resource_pool: 'resgroup-3', datastore: 'datastore-1' };
  const spec = {
    name: 'new',
    guest_OS: 'UBUNTU_64',
    placement,
    hardware_version: 'VMX_19',
    cpu: { count: 4, cores_per_socket: 2 },
    memory: { size_MiB: 4_096 },
    boot: { type: 'EFI', delay: 500 },
    boot_devices: [{ type: 'CDROM' }, { type: 'DISK' }],
    disks: [
      { new_vmdk: { capacity: 10 * 2 ** 30 } },
      { type: 'SATA', backing: { type: 'VMDK_FILE', vmdk_file: '[datastore1] old.vmdk' } },
    ],
    nics: [{ type: 'E1000E', backing: { type: 'STANDARD_PORTGROUP', network: 'network-1' }, start_connected: true }],
    cdroms: [{ backing: { type: 'ISO_FILE', iso_file: '[datastore1] a.iso' }, start_connected: true }],
    serial_ports: [{ backing: { type: 'NETWORK_SERVER', network_location: 'tcp://:7001' } }],
  };
  const made = await http.send('POST', '/api/vcenter/vm', { token, body: spec });
  assert.equal(made.status, 201, made.text);
  const sent = center.lastSpec;
  assert.equal(sent?.guestId, 'ubuntu64Guest');
  assert.equal(sent?.files?.vmPathName, '[datastore1]');
  assert.equal(sent?.firmware, 'efi');
  const types = sent?.deviceChange?.map(({ device }) => device._typeName);
  assert.deepEqual(types, [
    'ParaVirtualSCSIController',
    'VirtualDisk',
    'VirtualAHCIController',
    'VirtualDisk',
    'VirtualCdrom',
    'VirtualE1000e',
    'VirtualSerialPort',
  ]);
  const [controller, disk] = sent?.deviceChange ?? [];
  assert.equal(disk?.device.controllerKey, controller?.device.key);
  assert.equal(disk?.fileOperation, 'create');
  assert.deepEqual(
    sent?.bootOptions?.bootOrder?.map((each) => each._typeName),
    ['Cdrom', 'Disk', 'Disk'].map((kind) => `VirtualMachineBootOptionsBootable${kind}Device`),
  );
  assert.equal((await http.send('DELETE', `/api/vcenter/vm/${made.json}`, { token })).status, 204);
  assert.equal((await http.send('GET', `/api/vcenter/vm/${made.json}`, { token })).status, 404);

  const old = await http.send('POST', '/rest/vcenter/vm', { token, body: { spec: { guest_OS: 'OTHER', placement } } });
  assert.equal(old.status, 200, old.text);
  assert.match(old.json.value, /^vm-/);
  const taken = await http.send('POST', '/api/vcenter/vm', { token, body: { ...spec, name: 'taken' } });
  assert.equal(taken.status, 400);
  assert.equal(taken.json.error_type, 'ALREADY_EXISTS');
  const nowhere = await http.send('POST', '/api/vcenter/vm', { token, body: { guest_OS: 'OTHER' } });
  assert.equal(nowhere.json.error_type, 'INVALID_ARGUMENT');
  const wrong = await http.send('POST', '/api/vcenter/vm', { token, body: { guest_OS: 'PDP_11', placement } });
  assert.equal(wrong.json.error_type, 'INVALID_ARGUMENT');
});

test('devices are added, changed, connected and removed by a reconfiguration', async () => {
  const base = '/api/vcenter/vm/vm-3/hardware';
  const disk = await http.send('POST', `${base}/disk`, { token, body: { new_vmdk: { capacity: 2 ** 30 } } });
  assert.equal(disk.status, 201, disk.text);
  assert.deepEqual((await get(`${base}/disk/${disk.json}`)).scsi, { bus: 0, unit: 1 });
  assert.equal((await http.send('DELETE', `${base}/disk/${disk.json}`, { token })).status, 204);
  assert.equal((await http.send('GET', `${base}/disk/${disk.json}`, { token })).status, 404);
  const body = { backing: { type: 'ISO_FILE', iso_file: '[datastore1] other.iso' } };
  assert.equal((await http.send('PATCH', `${base}/cdrom/16000`, { token, body })).status, 204);
  assert.equal((await get(`${base}/cdrom/16000`)).backing.iso_file, '[datastore1] other.iso');
  assert.equal((await http.send('POST', `${base}/ethernet/4000?action=connect`, { token })).status, 204);
  assert.equal((await get(`${base}/ethernet/4000`)).state, 'CONNECTED');
  const old = await http.send('PATCH', '/rest/vcenter/vm/vm-3/hardware/cpu', { token, body: { spec: { count: 8 } } });
  assert.equal(old.status, 200, old.text);
  assert.equal((await get(`${base}/cpu`)).count, 8);
  const order = [
    { type: 'DISK', disks: ['2000'] },
    { type: 'ETHERNET', nic: '4000' },
  ];
  assert.equal((await http.send('PUT', `${base}/boot/device`, { token, body: order })).status, 204);
  assert.deepEqual(await get(`${base}/boot/device`), order);
  const place = { scsi: { bus: 0, unit: 0 }, type: 'SCSI' };
  const used = await http.send('POST', `${base}/disk`, { token, body: place });
  assert.equal(used.json.error_type, 'RESOURCE_IN_USE');
});

test('pools, datacenters and hosts come and go', async () => {
  const body = { name: 'p', parent: 'resgroup-1', cpu_allocation: { limit: 500, shares: { level: 'HIGH' } } };
  const pool = await http.send('POST', '/api/vcenter/resource-pool', { token, body });
  assert.equal(pool.status, 201, pool.text);
  const path = `/api/vcenter/resource-pool/${pool.json}`;
  assert.deepEqual((await get(path)).cpu_allocation, {
    reservation: 0,
    expandable_reservation: true,
    limit: 500,
    shares: { level: 'HIGH' },
  });
  assert.equal((await http.send('PATCH', path, { token, body: { name: 'q' } })).status, 204);
  assert.equal((await get(path)).name, 'q');
  assert.equal((await http.send('DELETE', path, { token })).status, 204);

  const full = await http.send('DELETE', '/api/vcenter/datacenter/datacenter-1', { token });
  assert.equal(full.json.error_type, 'RESOURCE_IN_USE');
  const twice = await http.send('POST', '/rest/vcenter/datacenter', { token, body: { spec: { name: 'dc1' } } });
  assert.equal(twice.json.type, 'com.vmware.vapi.std.errors.already_exists');

  const host = { hostname: 'h', user_name: 'root', password: 'x', folder: 'group-h1' };
  const checked = { ...host, thumbprint_verification: 'THUMBPRINT', thumbprint: 'AA:BB' };
  assert.equal((await http.send('POST', '/api/vcenter/host', { token, body: checked })).json, 'host-2');
  const unchecked = { ...host, thumbprint_verification: 'NONE' };
  assert.equal((await http.send('POST', '/api/vcenter/host', { token, body: unchecked })).json, 'host-2');
  assert.equal((await http.send('POST', '/api/vcenter/host/host-1?action=disconnect', { token })).status, 204);
});

test('10,000 machines are too many for a list, are filtered, and hold nobody up', async () => {
  const many = new SmallCenter({ machines: 10_000 });
  await using client = await HttpClient.open(many.face);
  const root = await many.token('root');
  const all = await client.send('GET', '/api/vcenter/vm', { token: root });
  assert.equal(all.status, 500);
  assert.equal(all.json.error_type, 'UNABLE_TO_ALLOCATE_RESOURCE');
  const few = await client.send('GET', '/api/vcenter/vm?power_states=POWERED_OFF&hosts=host-2', { token: root });
  assert.equal(few.json.length, 1);
  // Rounds of the event loop, not milliseconds: a loaded machine has more of them, never fewer.
  const slow = await many.token('slow');
  let rounds = 0;
  let waiting: NodeJS.Immediate | undefined;
  const count = () => {
    rounds += 1;
    waiting = setImmediate(count);
  };
  count();
  const limited = many.face.handle(
    {
      method: 'GET',
      url: '/api/vcenter/vm?folders=group-v1',
      headers: { 'vmware-api-session-id': slow },
      body: Buffer.alloc(0),
      clientAddress: '192.0.2.1',
      signal: new AbortController().signal,
    },
    { send: (status) => assert.equal(status, 500), open: () => assert.fail('a list is sent whole') },
  );
  await limited;
  clearImmediate(waiting);
  assert.ok(rounds >= 8, `80 ms of work were done in ${rounds} rounds`);
  await many.close();
});
