import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControllerModel } from '@hypostyle/contracts';
import { newConfiguration } from '../../configuration/apply-spec.ts';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { unbootableByEfi } from './efi-boot.ts';

const capabilities = { efiBootControllers: ['ide', 'ahci', 'nvme'] as const };

function machine(firmware: 'bios' | 'efi', ...models: ControllerModel[]): MachineConfiguration {
  return {
    ...newConfiguration('m'),
    firmware,
    controllers: models.map((model, bus) => ({ key: 1000 + bus, family: 'scsi', model, bus })),
    disks: models.map((_, bus) => ({
      key: 2000 + 16 * bus,
      controllerKey: 1000 + bus,
      unit: 0,
      fileName: 'a.vmdk',
      mode: 'persistent',
      writeThrough: false,
      tracked: true,
    })),
  };
}

test('a machine whose EFI firmware finds none of its disks is told of, by disk and controller', () => {
  const said = unbootableByEfi(machine('efi', 'pvscsi', 'lsilogic'), capabilities);
  assert.match(said ?? '', /scsi0:0 is at a pvscsi controller/);
  for (const fine of [machine('efi', 'pvscsi', 'ahci'), machine('bios', 'pvscsi'), machine('efi')])
    assert.equal(unbootableByEfi(fine, capabilities), undefined);
});
