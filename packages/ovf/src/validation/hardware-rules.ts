import { configuredItems } from '../envelope/deployment-configuration.ts';
import type { HardwareItem, VirtualHardwareSection, VirtualSystem } from '../envelope/envelope.ts';
import { parseHostResource } from '../envelope/envelope-references.ts';
import { isProgrammaticUnit, parseAllocationUnit } from '../envelope/units.ts';
import { OvfError } from '../errors.ts';
import { parentKinds, resourceType, standardResourceTypes } from '../hardware/hardware-models.ts';
import { cyclesOf } from './parent-cycles.ts';
import type { RuleCheck } from './rule-check.ts';
import type { ValidationRule } from './rules.ts';

const section = 'VirtualHardwareSection';

/** Rules of a virtual system's hardware (DSP0243 8). */
export function checkHardware(check: RuleCheck, system: VirtualSystem): void {
  if (system.hardware.length === 0) {
    const detail = `the VirtualSystem ${system.id} has no VirtualHardwareSection`;
    check.report('hardware-present', detail, 'VirtualSystem', system.line);
  }
  for (const hardware of system.hardware) new HardwareRules(check, hardware).run();
}

class HardwareRules {
  readonly #check: RuleCheck;
  readonly #hardware: VirtualHardwareSection;
  readonly #disks: ReadonlySet<string>;
  readonly #networks: ReadonlySet<string>;

  constructor(check: RuleCheck, hardware: VirtualHardwareSection) {
    const { diskSection, sharedDiskSection, networkSection } = check.envelope;
    this.#check = check;
    this.#hardware = hardware;
    this.#disks = new Set([...(diskSection?.disks ?? []), ...(sharedDiskSection?.disks ?? [])].map(({ id }) => id));
    this.#networks = new Set(networkSection?.networks.map(({ name }) => name));
  }

  run(): void {
    const { items } = this.#hardware;
    this.#checkBounds();
    for (const item of items) this.#checkItem(item);
    // Deployment options that no item names are all alike: one stands for them.
    const named = new Set(items.flatMap(({ configurations = [] }) => configurations));
    const options = [...this.#check.configurations];
    const other = options.find((id) => !named.has(id));
    const distinct = [...options.filter((id) => named.has(id)), ...(other === undefined ? [] : [other])];
    const reported = new Set<string>();
    for (const configuration of distinct.length > 0 ? distinct : [undefined]) {
      this.#checkTree(
        configuredItems(items, configuration).map(({ item }) => item),
        reported,
      );
    }
    this.#checkConfig();
  }

  #report(rule: ValidationRule, item: HardwareItem, detail: string): void {
    this.#check.report(rule, `the item with InstanceID ${item.instanceId} ${detail}`, section, item.line);
  }

  /** Every item has its own InstanceID, but for the bounds of a range and the variants of deployment options. */
  #checkBounds(): void {
    const { items } = this.#hardware;
    const seen = new Set<string>();
    const normal = new Map<string, HardwareItem>();
    for (const item of items) {
      if (item.bound !== undefined && item.bound !== 'normal') continue;
      const first = normal.get(item.instanceId);
      if (first === undefined) normal.set(item.instanceId, item);
      else if (first.resourceType !== item.resourceType) {
        this.#report('item-type-of-variants', item, 'is of another ResourceType than its variant');
      }
    }
    for (const item of items) {
      const bound = item.bound ?? 'normal';
      const key = [item.instanceId, bound, ...(item.configurations ?? [])].join('\0');
      if (seen.has(key)) {
        if (bound === 'normal') this.#report('item-id-unique', item, 'is there twice');
        else this.#report('item-bound-unique', item, `has two ${bound} bounds`);
      }
      seen.add(key);
      const { resourceType: type, virtualQuantity } = item;
      if (
        bound === 'normal' &&
        virtualQuantity === undefined &&
        (type === resourceType.processor || type === resourceType.memory)
      ) {
        this.#report('item-quantity', item, 'has no VirtualQuantity');
      }
      const base = normal.get(item.instanceId);
      if (base === undefined) this.#report('item-bound-alone', item, `is a ${bound} bound of no item`);
      else if (bound !== 'normal') this.#checkOrder(item, base);
    }
  }

  #checkOrder(item: HardwareItem, base: HardwareItem): void {
    const value = item.virtualQuantity ?? item.reservation;
    const usual = base.virtualQuantity;
    // What stands in other units is compared where the units are resolved.
    if (value === undefined || usual === undefined || item.allocationUnits !== base.allocationUnits) return;
    if (item.bound === 'min' ? value > usual : value < usual) {
      this.#report('item-bound-order', item, `has the ${item.bound} bound ${value}, on the wrong side of ${usual}`);
    }
  }

  #checkItem(item: HardwareItem): void {
    const { resourceType: type, required, configurations = [], allocationUnits, hostResources = [] } = item;
    for (const configuration of configurations) {
      if (!this.#check.configurations.has(configuration)) {
        this.#report('configuration-known', item, `is for the configuration "${configuration}", which does not exist`);
      }
    }
    if (!standardResourceTypes.has(type) && required !== false) {
      this.#report('item-type-known', item, `is required and has the ResourceType ${type}, which is not assigned`);
    }
    if (type === resourceType.other && !item.otherResourceType && !item.resourceSubType) {
      this.#report('item-other-type', item, 'is of another ResourceType and does not say which');
    }
    if (allocationUnits !== undefined) this.#checkUnit(item, allocationUnits);
    if (type === resourceType.ethernet) {
      for (const network of item.connections ?? []) {
        if (!this.#networks.has(network)) {
          this.#report('network-known', item, `refers to the network "${network}", which is not in NetworkSection`);
        }
      }
    }
    for (const text of hostResources) this.#checkHostResource(item, text);
    const isDisk = type === resourceType.disk || type === resourceType.storageExtent;
    if (isDisk && hostResources.length === 0 && item.virtualQuantity === undefined) {
      this.#report('item-disk-content', item, 'is a disk with neither HostResource nor VirtualQuantity');
    }
  }

  #checkUnit(item: HardwareItem, unit: string): void {
    try {
      parseAllocationUnit(unit);
    } catch (error) {
      if (!(error instanceof OvfError)) throw error;
      this.#report('unit-known', item, `has the unit "${unit.slice(0, 64)}", which is not understood`);
      return;
    }
    if (!isProgrammaticUnit(unit)) {
      this.#report('unit-form', item, `has the unit "${unit}", which is no programmatic unit`);
    }
  }

  #checkHostResource(item: HardwareItem, text: string): void {
    const resource = parseHostResource(text);
    if (resource === undefined) {
      this.#report('item-host-resource-form', item, `has the HostResource "${text.slice(0, 64)}"`);
    } else if (!(resource.kind === 'disk' ? this.#disks : this.#check.files).has(resource.id)) {
      this.#report('item-host-resource', item, `refers to the ${resource.kind} "${resource.id}", which does not exist`);
    }
  }

  /** Parents and places among the items of one deployment option. */
  #checkTree(items: readonly HardwareItem[], reported: Set<string>): void {
    const byId = new Map(items.map((item) => [item.instanceId, item]));
    const places = new Map<string, HardwareItem>();
    const once = (rule: ValidationRule, item: HardwareItem, detail: string): void => {
      const key = `${rule} ${item.line ?? ''} ${item.instanceId}`;
      if (!reported.has(key)) this.#report(rule, item, detail);
      reported.add(key);
    };
    for (const item of items) {
      if (item.parent === undefined) continue;
      const parent = byId.get(item.parent);
      if (parent === undefined) {
        once('item-parent-known', item, `is on the item with InstanceID ${item.parent}, which does not exist`);
        continue;
      }
      const kinds = parentKinds(item);
      if (kinds !== undefined && !kinds(parent)) {
        once('item-parent-holds', item, `is on the item with InstanceID ${item.parent}, which cannot hold it`);
      }
      if (item.addressOnParent === undefined) continue;
      const place = `${item.parent}\0${item.addressOnParent}`;
      const other = places.get(place);
      if (other !== undefined) {
        const detail = `is at the place ${item.addressOnParent} of ${item.parent}, as is ${other.instanceId}`;
        once('item-place-unique', item, detail);
      }
      places.set(place, item);
    }
    const cyclic = cyclesOf(
      items,
      ({ instanceId }) => instanceId,
      ({ parent }) => parent,
    );
    for (const item of cyclic) once('item-parent-acyclic', item, 'is on itself');
  }

  #checkConfig(): void {
    const { config, extraConfig, line } = this.#hardware;
    for (const { key, value } of extraConfig) {
      const resource = /^ovf:\/{1,2}file\/(.+)$/.exec(value);
      if (resource === null || this.#check.files.has(resource[1]!)) continue;
      const detail = `the ExtraConfig ${key} refers to the file "${resource[1]}", which is not in References`;
      this.#check.report('extra-config-file', detail, section, line);
    }
    const value = (wanted: string) => config.find(({ key }) => key === wanted)?.value.toLowerCase();
    if (value('bootOptions.efiSecureBootEnabled') === 'true' && value('firmware') !== 'efi') {
      this.#check.report('firmware-consistent', 'secure boot needs the firmware efi', section, line);
    }
    if (value('flags.vbsEnabled') === 'true' && value('bootOptions.efiSecureBootEnabled') !== 'true') {
      const detail = 'virtualization-based security needs secure boot';
      this.#check.report('firmware-consistent', detail, section, line);
    }
  }
}
