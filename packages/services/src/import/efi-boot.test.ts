import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VirtualDeviceConfigSpec, VirtualMachineConfigSpec } from '@hypostyle/vim';
import { efiBootWarning } from './efi-boot.ts';

const add = (_typeName: string, key: number, controllerKey?: number) =>
  ({ operation: 'add', device: { _typeName, key, controllerKey } }) as unknown as VirtualDeviceConfigSpec;
const spec = (firmware: string, ...deviceChange: VirtualDeviceConfigSpec[]) =>
  ({ firmware, deviceChange }) as VirtualMachineConfigSpec;

test('a machine that EFI will not boot is told of, by the controller that it has', () => {
  const onScsi = [add('ParaVirtualSCSIController', -1), add('VirtualDisk', -2, -1)];
  const onSata = [add('VirtualAHCIController', -3), add('VirtualDisk', -4, -3)];
  assert.match(efiBootWarning(spec('efi', ...onScsi))?.message ?? '', /ParaVirtualSCSIController/);
  assert.equal(efiBootWarning(spec('efi', ...onScsi))?.type, 'GenericVmConfigFault');
  for (const fine of [
    spec('bios', ...onScsi),
    spec('efi', ...onSata),
    spec('efi', ...onScsi, ...onSata),
    spec('efi', add('VirtualDisk', -1, 200)),
    spec('efi'),
  ])
    assert.equal(efiBootWarning(fine), undefined);
});
