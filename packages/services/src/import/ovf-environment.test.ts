import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data } from '@hypostyle/vim';
import { environmentDisc, ovfEnvironment } from './ovf-environment.ts';

test('a machine is told its properties by their full keys, the given value before the default', () => {
  const property = [
    data('VAppPropertyInfo', {
      key: 0,
      classId: 'net',
      id: 'ip',
      instanceId: '1',
      value: '10.0.0.1',
      defaultValue: 'dhcp',
    }),
    data('VAppPropertyInfo', { key: 1, classId: '', id: 'motd', instanceId: '', value: '', defaultValue: 'a "<b>"' }),
  ];
  const vAppConfig = data('VmConfigInfo', {
    property,
    ipAssignment: data('VAppIPAssignmentInfo', {}),
    installBootRequired: false,
    installBootStopDelay: 0,
  });
  const text = ovfEnvironment({ entityId: 'web', vAppConfig });
  assert.match(text, /oe:id="web"/);
  assert.match(text, /oe:key="net\.ip\.1" oe:value="10\.0\.0\.1"/);
  assert.match(text, /oe:key="motd" oe:value="a &quot;&lt;b/);
});

test('the disc holds the text as ovf-env.xml', () => {
  const disc = Buffer.from(environmentDisc('<Environment>Grüße</Environment>'));
  assert.ok(disc.includes('<Environment>Grüße</Environment>'));
  assert.ok(disc.includes(Buffer.from('ovf-env.xml', 'utf16le').swap16()));
});
