import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CustomizationSpec, VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { customize } from './customization.ts';

const machine = { name: 'web server 1', adapters: [{ mac: '00:0c:29:00:00:01' }] };

function windows(more: object = {}, adapter: object = {}): CustomizationSpec {
  return {
    _typeName: 'CustomizationSpec',
    identity: {
      _typeName: 'CustomizationSysprep',
      guiUnattended: {
        password: { value: 'P<&>1', plainText: true },
        timeZone: 110,
        autoLogon: true,
        autoLogonCount: 2,
      },
      userData: {
        fullName: 'Ann',
        orgName: 'Example & Co',
        computerName: { _typeName: 'CustomizationFixedName', name: 'WEB1' },
        productId: 'AAAAA-BBBBB-CCCCC-DDDDD-EEEEE',
      },
      identification: {
        joinDomain: 'example.com',
        domainAdmin: 'joiner',
        domainAdminPassword: { value: 'Join-1', plainText: true },
        domainOU: 'OU=web,DC=example,DC=com',
      },
      guiRunOnce: { commandList: ['cmd /c echo one', 'cmd /c echo "two"'] },
      ...more,
    },
    globalIPSettings: { dnsServerList: ['192.0.2.53'], dnsSuffixList: ['example.com'] },
    nicSettingMap: [
      {
        adapter: {
          ip: { _typeName: 'CustomizationFixedIp', ipAddress: '192.0.2.7' },
          subnetMask: '255.255.255.0',
          gateway: ['192.0.2.1'],
          dnsDomain: 'web.example.com',
          primaryWINS: '192.0.2.9',
          netBIOS: 'disableNetBIOS',
          ...adapter,
        },
      },
    ],
  } as never;
}

const told = (spec: CustomizationSpec) => customize(spec, machine, 'i-1');
const answers = (spec: CustomizationSpec) => told(spec).files.get('Unattend.xml') ?? '';
/** The text of each element with that path, of the components for processors of 64 bits. */
const found = (xml: string, ...path: string[]) => {
  let parts = [...xml.matchAll(/<component [^>]*processorArchitecture="amd64"[^>]*>.*?<\/component>/gs)].map(
    ([whole]) => whole,
  );
  for (const name of path)
    parts = parts.flatMap((part) =>
      [...part.matchAll(new RegExp(`<${name}(?: [^>]*)?>(.*?)</${name}>`, 'gs'))].map(([, inner = '']) => inner),
    );
  return parts;
};
const isFault = (words: RegExp) => (error: unknown) =>
  (error as VimFault).type === 'CustomizationFault' && words.test((error as VimFault).message);

test('Windows is told its name, owner, key, domain, time zone, addresses, administrator and first commands', () => {
  const { hostName, files } = told(windows());
  assert.equal(hostName, 'WEB1');
  assert.deepEqual([...files.keys()], ['Autounattend.xml', 'Unattend.xml']);
  const xml = answers(windows());
  assert.deepEqual(found(xml, 'ComputerName'), ['WEB1']);
  assert.deepEqual(found(xml, 'ProductKey'), ['AAAAA-BBBBB-CCCCC-DDDDD-EEEEE']);
  assert.deepEqual([...new Set(found(xml, 'RegisteredOrganization'))], ['Example &amp; Co']);
  assert.deepEqual([...new Set(found(xml, 'TimeZone'))], ['W. Europe Standard Time']);
  assert.deepEqual(found(xml, 'Credentials', 'Username'), ['joiner']);
  assert.deepEqual(found(xml, 'Credentials', 'Password'), ['Join-1']);
  assert.deepEqual(found(xml, 'MachineObjectOU'), ['OU=web,DC=example,DC=com']);
  assert.deepEqual(found(xml, 'AdministratorPassword', 'Value'), ['P&lt;&amp;&gt;1']);
  assert.deepEqual(found(xml, 'AutoLogon', 'LogonCount'), ['2']);
  assert.deepEqual(found(xml, 'SynchronousCommand', 'CommandLine'), ['cmd /c echo one', 'cmd /c echo "two"']);
  assert.deepEqual([...new Set(found(xml, 'Identifier'))], ['00-0C-29-00-00-01', '0']);
  assert.deepEqual(found(xml, 'UnicastIpAddresses', 'IpAddress'), ['192.0.2.7/24']);
  assert.deepEqual(found(xml, 'Ipv4Settings', 'DhcpEnabled'), ['false']);
  assert.deepEqual(found(xml, 'Route', 'NextHopAddress'), ['192.0.2.1']);
  assert.deepEqual(found(xml, 'DNSServerSearchOrder', 'IpAddress'), ['192.0.2.53']);
  assert.deepEqual(found(xml, 'DNSDomain'), ['web.example.com']);
  assert.deepEqual(found(xml, 'NameServerList', 'IpAddress'), ['192.0.2.9']);
  assert.deepEqual(found(xml, 'NetbiosOptions'), ['2']);
  const byDhcp = answers(windows({}, { ip: { _typeName: 'CustomizationDhcpIpGenerator' }, gateway: undefined }));
  assert.deepEqual(found(byDhcp, 'Ipv4Settings', 'DhcpEnabled'), ['true']);
  assert.deepEqual(found(byDhcp, 'UnicastIpAddresses'), []);
});

test('a name of the machine fits Windows, and a workgroup is joined', () => {
  const userData = {
    fullName: '',
    orgName: '',
    computerName: { _typeName: 'CustomizationVirtualMachineName' },
    productId: '',
  };
  const xml = answers(windows({ userData, identification: { joinWorkgroup: 'LAB' } }));
  assert.deepEqual(found(xml, 'ComputerName'), ['web-server-1']);
  assert.deepEqual(found(xml, 'ProductKey'), []);
  assert.deepEqual(found(xml, 'Identification', 'JoinWorkgroup'), ['LAB']);
});

test('what Windows cannot be told is a fault that names it', () => {
  const named = (name: string) => ({
    userData: { fullName: '', orgName: '', productId: '', computerName: { _typeName: 'CustomizationFixedName', name } },
  });
  const zone = { guiUnattended: { timeZone: 7, autoLogon: false, autoLogonCount: 0 } };
  const sealed = { password: { value: 'x', plainText: false }, timeZone: 85, autoLogon: false, autoLogonCount: 0 };
  for (const [more, words] of [
    [named('A'.repeat(16)), /15 characters/],
    [zone, /7 is no index of a time zone/],
    [{ guiUnattended: sealed }, /encrypted/],
    [{ identification: { joinDomain: 'example.com' } }, /domainAdmin/],
    [{ identification: { joinDomain: 'a.com', joinWorkgroup: 'b' } }, /domain or a workgroup/],
    [{ guiRunOnce: { commandList: ['\u0001'] } }, /cannot be told/],
  ] as const)
    assert.throws(() => told(windows(more)), isFault(words));
  assert.throws(() => told(windows({}, { primaryWINS: 'here' })), isFault(/'here' is no IPv4 address/));
});

test('whatever is told, the answer file says it in one element, or it is a fault', () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 });
  fc.assert(
    fc.property(text, text, fc.array(text, { maxLength: 3 }), (fullName, orgName, commandList) => {
      const computerName = { _typeName: 'CustomizationFixedName', name: 'A' };
      const userData = { fullName, orgName, productId: '', computerName };
      try {
        const xml = answers(windows({ userData, guiRunOnce: { commandList } }));
        assert.equal(found(xml, 'SynchronousCommand').length, commandList.length);
        assert.equal(xml.split('<').length, xml.split('>').length);
      } catch (error) {
        assert.equal((error as VimFault).type, 'CustomizationFault', String(error));
      }
    }),
  );
});
