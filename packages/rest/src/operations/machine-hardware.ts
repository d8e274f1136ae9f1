import { data } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import { hardwareKeyOf } from '../machine/guest-os.ts';
import {
  bootDevicesOf,
  bootOf,
  bootOrderOf,
  bootSpecOf,
  cpuOf,
  hardwareOf,
  memoryOf,
} from '../machine/machine-info.ts';
import { Machine } from '../machine/machine-reader.ts';
import {
  bootDevices,
  bootDevicesSpec,
  bootInfo,
  bootUpdate,
  cpuInfo,
  cpuUpdate,
  hardwareInfo,
  hardwareUpdate,
  hardwareUpgrade,
  memoryInfo,
  memoryUpdate,
} from '../machine/machine-schemas.ts';
import { defined, oneOf } from '../schemas/common.ts';
import { type Operation, operation } from './operation.ts';

const policies = { NEVER: 'never', AFTER_CLEAN_SHUTDOWN: 'onSoftPowerOff', ALWAYS: 'always' } as const;

/** Hardware version, processors, memory and firmware of a machine. */
export const hardwareOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.vm.hardware.get',
    summary: 'Hardware version of a machine.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/hardware',
    rest: {},
    answer: hardwareInfo,
    run: ({ view, path }) => hardwareOf(new Machine(view, path.vm).config),
  }),
  operation({
    id: 'vcenter.vm.hardware.update',
    summary: 'Schedules an upgrade of the hardware version.',
    method: 'PATCH',
    path: '/vcenter/vm/{vm}/hardware',
    rest: {},
    body: hardwareUpdate,
    run: ({ view, path, body }) =>
      new Machine(view, path.vm).reconfigure({
        scheduledHardwareUpgradeInfo: data(
          'ScheduledHardwareUpgradeInfo',
          defined({
            upgradePolicy: body.upgrade_policy === undefined ? undefined : policies[body.upgrade_policy],
            versionKey: body.upgrade_version === undefined ? undefined : hardwareKeyOf(body.upgrade_version),
          }),
        ),
      }),
  }),
  operation({
    id: 'vcenter.vm.hardware.upgrade',
    summary: 'Upgrades the hardware version now.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/hardware',
    action: 'upgrade',
    rest: { wrap: null },
    body: hardwareUpgrade,
    bodyOptional: true,
    async run({ view, path, body }) {
      const version = body?.version === undefined ? undefined : hardwareKeyOf(body.version);
      const { ref } = new Machine(view, path.vm).object;
      await view.run('VirtualMachine', ref, 'UpgradeVM_Task', defined({ version }));
    },
  }),
  operation({
    id: 'vcenter.vm.hardware.cpu.get',
    summary: 'Processors of a machine.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/hardware/cpu',
    rest: {},
    answer: cpuInfo,
    run: ({ view, path }) => cpuOf(new Machine(view, path.vm).config),
  }),
  operation({
    id: 'vcenter.vm.hardware.cpu.update',
    summary: 'Changes the processors of a machine.',
    method: 'PATCH',
    path: '/vcenter/vm/{vm}/hardware/cpu',
    rest: {},
    body: cpuUpdate,
    run: ({ view, path, body }) =>
      new Machine(view, path.vm).reconfigure(
        defined({
          numCPUs: body.count,
          numCoresPerSocket: body.cores_per_socket,
          cpuHotAddEnabled: body.hot_add_enabled,
          cpuHotRemoveEnabled: body.hot_remove_enabled,
        }),
      ),
  }),
  operation({
    id: 'vcenter.vm.hardware.memory.get',
    summary: 'Memory of a machine.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/hardware/memory',
    rest: {},
    answer: memoryInfo,
    run: ({ view, path }) => memoryOf(new Machine(view, path.vm).config),
  }),
  operation({
    id: 'vcenter.vm.hardware.memory.update',
    summary: 'Changes the memory of a machine.',
    method: 'PATCH',
    path: '/vcenter/vm/{vm}/hardware/memory',
    rest: {},
    body: memoryUpdate,
    run: ({ view, path, body }) =>
      new Machine(view, path.vm).reconfigure(
        defined({ memoryMB: body.size_MiB, memoryHotAddEnabled: body.hot_add_enabled }),
      ),
  }),
  operation({
    id: 'vcenter.vm.hardware.boot.get',
    summary: 'How a machine boots.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/hardware/boot',
    rest: {},
    answer: bootInfo,
    run: ({ view, path }) => bootOf(new Machine(view, path.vm).config),
  }),
  operation({
    id: 'vcenter.vm.hardware.boot.update',
    summary: 'Changes how a machine boots.',
    method: 'PATCH',
    path: '/vcenter/vm/{vm}/hardware/boot',
    rest: {},
    body: bootUpdate,
    run: ({ view, path, body }) => new Machine(view, path.vm).reconfigure(bootSpecOf(body)),
  }),
  operation({
    id: 'vcenter.vm.hardware.boot.device.get',
    summary: 'Devices that a machine boots from, in order.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/hardware/boot/device',
    rest: {},
    answer: bootDevices,
    run({ view, path }) {
      const machine = new Machine(view, path.vm);
      return bootDevicesOf(machine.config, machine.devices);
    },
  }),
  operation({
    id: 'vcenter.vm.hardware.boot.device.set',
    summary: 'Sets the devices that a machine boots from.',
    method: 'PUT',
    path: '/vcenter/vm/{vm}/hardware/boot/device',
    rest: { wrap: 'devices' },
    body: bootDevicesSpec,
    run({ view, path, body }) {
      const machine = new Machine(view, path.vm);
      return machine.reconfigure(bootSpecOf({}, bootOrderOf(body, machine.devices)));
    },
  }),
  operation({
    id: 'vcenter.vm.storage.policy.get',
    summary: 'Storage policies of a machine: there are none here.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/storage/policy',
    rest: {},
    answer: Type.Object({
      vm_home: Type.Optional(Type.String()),
      disks: Type.Record(Type.String(), Type.String()),
    }),
    run({ view, path }) {
      view.get('VirtualMachine', path.vm);
      return { disks: {} };
    },
  }),
  operation({
    id: 'vcenter.vm.storage.policy.compliance.get',
    summary: 'Whether a machine keeps to its storage policies: it has none.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/storage/policy/compliance',
    rest: {},
    answer: Type.Object({
      overall_compliance: oneOf('NOT_APPLICABLE'),
      disks: Type.Record(Type.String(), Type.Object({})),
    }),
    run({ view, path }) {
      view.get('VirtualMachine', path.vm);
      return { overall_compliance: 'NOT_APPLICABLE' as const, disks: {} };
    },
  }),
];
