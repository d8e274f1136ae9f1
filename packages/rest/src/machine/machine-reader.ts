import type { ManagedObject, VirtualDevice, VirtualMachineConfigInfo } from '@hypostyle/vim';
import { type CenterView, read } from '../calls/center-view.ts';
import { AutomationError, notFound } from '../errors.ts';
import { DeviceReader } from './device-info.ts';
import { DevicePlan } from './device-plan.ts';
import { plainDefaults } from './guest-defaults.ts';

/** One machine that the session may read. */
export class Machine {
  readonly object: ManagedObject;
  readonly #view: CenterView;

  /** Fails with `not_found` and `unauthorized`. */
  constructor(view: CenterView, id: string) {
    this.object = view.get('VirtualMachine', id);
    this.#view = view;
  }

  /** Fails with `service_unavailable` while the machine cannot be read. */
  get config(): VirtualMachineConfigInfo {
    const config = read('VirtualMachine', this.object, 'config');
    if (config === undefined) {
      throw new AutomationError('service_unavailable', 'The configuration of the machine cannot be read now.');
    }
    return config;
  }

  get devices(): DeviceReader {
    return new DeviceReader(this.#view.registry.schema, this.config.hardware.device ?? []);
  }

  /** Fails with `not_found`. */
  device<D extends VirtualDevice = VirtualDevice>(type: string, id: string): D {
    const device = this.devices.find<D>(type, id);
    if (device === undefined) throw notFound(type, id);
    return device;
  }

  /** Changes devices; answers the key of the one of `type` that came, where one came. */
  async change(type: string, plan: (plan: DevicePlan) => void): Promise<string> {
    const before = new Set(this.devices.ofType(type).map(({ key }) => key));
    const changes = new DevicePlan(this.#view, this.devices, plainDefaults);
    plan(changes);
    await this.reconfigure({ deviceChange: changes.changes });
    const after = new DeviceReader(
      this.#view.registry.schema,
      read('VirtualMachine', this.#view.registry.get(this.object.ref), 'config')?.hardware.device ?? [],
    );
    return String(after.ofType(type).find(({ key }) => !before.has(key))?.key ?? '');
  }

  async reconfigure(spec: object): Promise<void> {
    await this.#view.run('VirtualMachine', this.object.ref, 'ReconfigVM_Task', {
      spec: { _typeName: 'VirtualMachineConfigSpec', ...spec } as never,
    });
  }
}
