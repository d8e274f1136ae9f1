import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Value } from '@sinclair/typebox/value';
import fc from 'fast-check';
import { AutomationError } from '../errors.ts';
import { fromSpecification } from './from-specification.ts';
import { type GuestCustomization, guestCustomization } from './guest-schemas.ts';
import { toSpecification } from './to-specification.ts';

const word = fc.stringMatching(/^[a-z][a-z0-9.-]{0,12}$/);
const address = fc.ipV4();
const addresses = fc.array(address, { minLength: 1, maxLength: 3 });
const hostname = fc.oneof(
  fc.record({ type: fc.constant('FIXED' as const), fixed_name: word }),
  fc.record({ type: fc.constant('PREFIX' as const), prefix: word }),
  fc.record({ type: fc.constantFrom('VIRTUAL_MACHINE' as const, 'USER_INPUT_REQUIRED' as const) }),
);
const optional = { requiredKeys: [] as [] };
const linux = fc.record(
  { hostname, domain: word, time_zone: word, script_text: word },
  { requiredKeys: ['hostname', 'domain'] },
);
const domain = fc.oneof(
  fc.record({ type: fc.constant('WORKGROUP' as const), workgroup: word }),
  fc.record({
    type: fc.constant('DOMAIN' as const),
    domain: word,
    domain_username: word,
    domain_password: word,
    domain_OU: word,
  }),
);
const sysprep = fc.record(
  {
    gui_run_once_commands: fc.array(word, { minLength: 1, maxLength: 3 }),
    user_data: fc.record({ computer_name: hostname, full_name: word, organization: word, product_key: word }),
    domain,
    gui_unattended: fc.record(
      {
        auto_logon: fc.boolean(),
        auto_logon_count: fc.nat({ max: 9 }),
        password: word,
        time_zone: fc.nat({ max: 255 }),
      },
      { requiredKeys: ['auto_logon', 'auto_logon_count', 'time_zone'] },
    ),
  },
  { requiredKeys: ['user_data', 'gui_unattended'] },
);
const reboot = fc.constantFrom('REBOOT' as const, 'NO_REBOOT' as const, 'SHUTDOWN' as const);
const configuration = fc.oneof(
  fc.record({ linux_config: linux }),
  fc.record({ windows_config: fc.record({ reboot, sysprep }, { requiredKeys: ['sysprep'] }) }),
  fc.record({ windows_config: fc.record({ sysprep_xml: word }) }),
  fc.record({
    cloud_config: fc.record({
      type: fc.constant('CLOUDINIT' as const),
      cloudinit: fc.record({ metadata: word, userdata: word }, { requiredKeys: ['metadata'] }),
    }),
  }),
);
const given = fc.constantFrom('DHCP' as const, 'USER_INPUT_REQUIRED' as const);
const ipv4 = fc.oneof(
  fc.record({
    type: fc.constant('STATIC' as const),
    ip_address: address,
    prefix: fc.integer({ min: 0, max: 32 }),
    gateways: addresses,
  }),
  fc.record({ type: given }),
);
const fixed6 = fc.record({ ip_address: fc.ipV6(), prefix: fc.integer({ min: 0, max: 128 }) });
const ipv6 = fc.oneof(
  fc.record({ type: fc.constant('STATIC' as const), ipv6: fc.array(fixed6, { minLength: 1, maxLength: 2 }) }),
  fc.record({ type: given }),
);
const windows = fc.record({
  dns_servers: addresses,
  dns_domain: word,
  wins_servers: fc.array(address, { minLength: 1, maxLength: 2 }),
  net_BIOS_mode: fc.constantFrom('USE_DHCP' as const, 'ENABLE' as const, 'DISABLE' as const),
});
const mapping = fc.record(
  { mac_address: word, adapter: fc.record({ ipv4, ipv6, windows }, { requiredKeys: ['ipv4'] }) },
  { requiredKeys: ['adapter'] },
);
const guest: fc.Arbitrary<GuestCustomization> = fc.record({
  configuration_spec: configuration,
  global_DNS_settings: fc.record(
    { dns_suffix_list: fc.array(word, { minLength: 1, maxLength: 2 }), dns_servers: addresses },
    optional,
  ),
  interfaces: fc.array(mapping, { maxLength: 3 }),
});

test('a specification comes back as it was given', () => {
  fc.assert(
    fc.property(guest, (made) => {
      const written = JSON.parse(JSON.stringify(made)) as GuestCustomization;
      assert.ok(Value.Check(guestCustomization, written));
      const back = fromSpecification(toSpecification(written));
      assert.deepEqual(back, written);
      assert.ok(Value.Check(guestCustomization, back));
    }),
    { numRuns: 100 },
  );
});

const minimal = (configuration_spec: object, more: object = {}) =>
  ({ configuration_spec, global_DNS_settings: {}, ...more }) as GuestCustomization;
const cloud = { cloud_config: { type: 'CLOUDINIT', cloudinit: { metadata: '{}' } } };

test('both spellings of acronyms are taken, and neither twice', () => {
  const servers = { dns_servers: ['192.0.2.53'] };
  const told = toSpecification({ configuration_spec: cloud, global_dns_settings: servers } as GuestCustomization);
  assert.deepEqual(told.globalIPSettings.dnsServerList, ['192.0.2.53']);
  const adapter = { ipv4: { type: 'DHCP' }, windows: { net_bios_mode: 'ENABLE' } };
  const [mapping] = toSpecification(minimal(cloud, { interfaces: [{ adapter }] })).nicSettingMap ?? [];
  assert.equal(mapping?.adapter.netBIOS, 'enableNetBIOS');
  assert.throws(() => toSpecification(minimal(cloud, { global_dns_settings: {} })), /twice/);
});

test('masks are those of their prefixes', () => {
  const maskOf = (prefix: number) => {
    const ipv4 = { type: 'STATIC', ip_address: '192.0.2.1', prefix };
    const [mapping] = toSpecification(minimal(cloud, { interfaces: [{ adapter: { ipv4 } }] })).nicSettingMap ?? [];
    return mapping?.adapter.subnetMask;
  };
  assert.deepEqual([0, 1, 8, 20, 24, 31, 32].map(maskOf), [
    '0.0.0.0',
    '128.0.0.0',
    '255.0.0.0',
    '255.255.240.0',
    '255.255.255.0',
    '255.255.255.254',
    '255.255.255.255',
  ]);
});

test('what is missing or contradicts itself is said by its name', () => {
  const hostname = { type: 'VIRTUAL_MACHINE' };
  const sysprepOf = (more: object) => ({
    windows_config: {
      sysprep: {
        user_data: { computer_name: hostname, full_name: '', organization: '', product_key: '' },
        gui_unattended: { auto_logon: false, auto_logon_count: 0, time_zone: 0 },
        ...more,
      },
    },
  });
  const wrong: [GuestCustomization, RegExp][] = [
    [minimal({}), /configuration_spec/],
    [minimal({ ...cloud, linux_config: { hostname, domain: '' } }), /configuration_spec/],
    [minimal({ windows_config: {} }), /sysprep/],
    [minimal({ windows_config: { ...sysprepOf({}).windows_config, sysprep_xml: '<x/>' } }), /not both/],
    [minimal({ linux_config: { hostname: { type: 'FIXED' }, domain: '' } }), /fixed_name/],
    [minimal({ cloud_config: { type: 'CLOUDINIT' } }), /cloudinit/],
    [minimal(sysprepOf({ domain: { type: 'DOMAIN', domain: 'a' } })), /domain_username/],
    [minimal(cloud, { interfaces: [{ adapter: {} }] }), /interfaces\[0\]\.adapter\.ipv4/],
    [minimal(cloud, { interfaces: [{ adapter: { ipv4: { type: 'STATIC', ip_address: '192.0.2.1' } } }] }), /prefix/],
  ];
  for (const [guest, message] of wrong)
    assert.throws(
      () => toSpecification(guest),
      (error: unknown) =>
        error instanceof AutomationError && error.error === 'invalid_argument' && message.test(error.message),
      String(message),
    );
});

test('passwords are left out where that is asked, and what has no words here is said', () => {
  const written = minimal({
    windows_config: {
      sysprep: {
        user_data: { computer_name: { type: 'VIRTUAL_MACHINE' }, full_name: 'a', organization: 'b', product_key: '' },
        domain: { type: 'DOMAIN', domain: 'd', domain_username: 'u', domain_password: 'Join-1' },
        gui_unattended: { auto_logon: false, auto_logon_count: 0, time_zone: 0, password: 'Very-secret-1' },
      },
    },
  });
  const text = JSON.stringify(fromSpecification(toSpecification(written), { blank: true }));
  assert.doesNotMatch(text, /secret|Join/);
  assert.match(text, /"password":""/);
  const spec = { ...toSpecification(written), identity: { _typeName: 'CustomizationIdentitySettings' } };
  assert.throws(
    () => fromSpecification(spec as never),
    (error: AutomationError) => error.error === 'unsupported',
  );
});
