import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CustomizationSpec, VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { checkCustomization, customizationDisc, customize } from './customization.ts';

const machine = { name: 'web 1', adapters: [{ mac: '00:0c:29:00:00:01' }] };
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

function linux(more: object = {}, adapter: object = {}, map?: object[]): CustomizationSpec {
  return {
    _typeName: 'CustomizationSpec',
    identity: {
      _typeName: 'CustomizationLinuxPrep',
      hostName: { _typeName: 'CustomizationFixedName', name: 'web1' },
      domain: 'example.com',
      ...more,
    },
    globalIPSettings: { _typeName: 'CustomizationGlobalIPSettings', dnsServerList: ['192.0.2.53'] },
    nicSettingMap: map ?? [
      {
        _typeName: 'CustomizationAdapterMapping',
        adapter: {
          _typeName: 'CustomizationIPSettings',
          ip: { _typeName: 'CustomizationFixedIp', ipAddress: '192.0.2.7' },
          subnetMask: '255.255.255.0',
          gateway: ['192.0.2.1'],
          ...adapter,
        },
      },
    ],
  } as never;
}

test('a Linux guest is told its name, its addresses, its time zone and a script', () => {
  const { files, hostName } = customize(linux({ timeZone: 'Europe/Zurich', scriptText: 'echo $1' }), machine, 'i-1');
  assert.equal(hostName, 'web1');
  assert.deepEqual(JSON.parse(files.get('meta-data') ?? ''), { 'instance-id': 'i-1', 'local-hostname': 'web1' });
  const user = files.get('user-data') ?? '';
  assert.match(user, /^#cloud-config\n/);
  const told = JSON.parse(user.slice(user.indexOf('\n')));
  assert.deepEqual([told.fqdn, told.timezone], ['web1.example.com', 'Europe/Zurich']);
  assert.deepEqual(told.runcmd, [['sh', '-c', 'echo $1', 'customization', 'postcustomization']]);
  assert.deepEqual(JSON.parse(files.get('network-config') ?? ''), {
    version: 2,
    ethernets: {
      nic0: {
        match: { macaddress: '00:0c:29:00:00:01' },
        dhcp4: false,
        addresses: ['192.0.2.7/24'],
        gateway4: '192.0.2.1',
        nameservers: { addresses: ['192.0.2.53'] },
      },
    },
  });
  const disc = Buffer.from(customizationDisc({ files, hostName }));
  assert.ok(disc.includes('CIDATA') && disc.includes('web1.example.com'));
});

test('raw texts go to the guest as they are', () => {
  const raw = (identity: object) => customize({ ...linux({}, {}, []), identity } as never, machine, 'i-2');
  const cloud = raw({
    _typeName: 'CustomizationCloudinitPrep',
    metadata: '{"local-hostname":"db","network":{"config":{"version":1}}}',
    userdata: '#cloud-config\nusers: []\n',
  });
  assert.equal(cloud.hostName, 'db');
  assert.deepEqual(JSON.parse(cloud.files.get('meta-data') ?? ''), { 'instance-id': 'i-2', 'local-hostname': 'db' });
  assert.deepEqual(JSON.parse(cloud.files.get('network-config') ?? ''), { version: 1 });
  assert.equal(cloud.files.get('user-data'), '#cloud-config\nusers: []\n');
  const yaml = raw({ _typeName: 'CustomizationCloudinitPrep', metadata: 'local-hostname: "db2"\n' });
  assert.deepEqual([yaml.hostName, yaml.files.get('meta-data')], ['db2', 'instance-id: i-2\nlocal-hostname: "db2"\n']);
  const windows = raw({ _typeName: 'CustomizationSysprepText', value: '<x><ComputerName>win1</ComputerName></x>' });
  assert.equal(windows.hostName, 'win1');
  assert.deepEqual([...windows.files.keys()], ['Autounattend.xml', 'Unattend.xml']);
});

test('what no guest can be told is a fault', () => {
  const check = (spec: CustomizationSpec) => () => checkCustomization(spec, machine);
  assert.throws(check(linux({}, {}, [{}, {}])), named('NicSettingMismatch'));
  assert.throws(check(linux({ hostName: { _typeName: 'CustomizationUnknownName' } })), named('CustomizationFault'));
  assert.throws(
    check(linux({ hostName: { _typeName: 'CustomizationFixedName', name: '-x' } })),
    named('CustomizationFault'),
  );
  assert.throws(check(linux({}, { subnetMask: '255.0.255.0' })), named('CustomizationFault'));
  assert.throws(
    check(linux({}, { ip: { _typeName: 'CustomizationUnknownIpGenerator' } })),
    named('CustomizationFault'),
  );
  assert.throws(
    check({ ...linux(), identity: { _typeName: 'CustomizationIdentitySettings' } } as never),
    named('CustomizationFault'),
  );
  checkCustomization(linux({ hostName: { _typeName: 'CustomizationVirtualMachineName' } }), machine);
});

test('any texts are told as they are, or are a fault', () => {
  const text = fc.string({ maxLength: 40 });
  fc.assert(
    fc.property(text, text, text, text, (name, domain, timeZone, scriptText) => {
      const spec = linux({ hostName: { _typeName: 'CustomizationFixedName', name }, domain, timeZone, scriptText });
      try {
        const { files } = customize(spec, machine, 'i');
        const user = files.get('user-data') ?? '';
        assert.equal(JSON.parse(user.slice(user.indexOf('\n'))).hostname, name);
      } catch (error) {
        assert.equal((error as VimFault).type, 'CustomizationFault');
      }
    }),
  );
});
