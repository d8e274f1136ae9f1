import type { VirtualMachineConfigInfo, VirtualMachineConfigSpec } from '@hypostyle/vim';

/** A `vmw:Config` of a hardware section that vim25 has a place for. */
interface Setting {
  readonly key: string;
  /** Structure of the specification that has the member; undefined: the specification itself. */
  readonly within?: { readonly spec: string; readonly info: string; readonly type: string };
  readonly member: string;
  /** Texts that it may have; a flag where there are none. */
  readonly texts?: readonly string[];
}

const flag = (member: string): Setting => ({ key: member, member });
const tools = { spec: 'tools', info: 'tools', type: 'ToolsConfigInfo' };
const flags = { spec: 'flags', info: 'flags', type: 'VirtualMachineFlagInfo' };
const boot = { spec: 'bootOptions', info: 'bootOptions', type: 'VirtualMachineBootOptions' };
const power = { spec: 'powerOpInfo', info: 'defaultPowerOps', type: 'VirtualMachineDefaultPowerOpInfo' };
const powerTypes = ['soft', 'hard', 'preset'];

const settings: readonly Setting[] = [
  ...['cpuHotAddEnabled', 'cpuHotRemoveEnabled', 'memoryHotAddEnabled', 'nestedHVEnabled'].map(flag),
  { key: 'flags.vbsEnabled', within: flags, member: 'vbsEnabled' },
  { key: 'bootOptions.efiSecureBootEnabled', within: boot, member: 'efiSecureBootEnabled' },
  ...['syncTimeWithHost', 'afterPowerOn', 'afterResume', 'beforeGuestShutdown', 'beforeGuestStandby'].map((member) => ({
    key: `tools.${member}`,
    within: tools,
    member,
  })),
  {
    key: 'tools.toolsUpgradePolicy',
    within: tools,
    member: 'toolsUpgradePolicy',
    texts: ['manual', 'upgradeAtPowerCycle'],
  },
  ...['powerOffType', 'suspendType', 'resetType'].map((member) => ({
    key: `powerOpInfo.${member}`,
    within: power,
    member,
    texts: powerTypes,
  })),
  {
    key: 'powerOpInfo.standbyAction',
    within: power,
    member: 'standbyAction',
    texts: ['checkpoint', 'powerOnSuspend'],
  },
];

type Members = Record<string, unknown>;

/** What the entries of a descriptor say, as members of a specification; what has no place or no sense is left out. */
export function settingsOfConfig(config: Readonly<Record<string, string>>): Partial<VirtualMachineConfigSpec> {
  const spec: Members = {};
  for (const { key, within, member, texts } of settings) {
    const value = settingOf(config[key], texts);
    if (value === undefined) continue;
    if (within === undefined) spec[member] = value;
    else spec[within.spec] = { _typeName: within.type, ...(spec[within.spec] as object | undefined), [member]: value };
  }
  return spec;
}

/** The same of a machine, for its descriptor. */
export function configOfSettings(info: VirtualMachineConfigInfo): { readonly key: string; readonly value: string }[] {
  return settings.flatMap(({ key, within, member, texts }) => {
    const holder = (within === undefined ? info : (info as object as Members)[within.info]) as Members | undefined;
    const value = holder?.[member];
    if (value === undefined || (texts !== undefined && !texts.includes(String(value)))) return [];
    return [{ key, value: String(value) }];
  });
}

function settingOf(text: string | undefined, texts: readonly string[] | undefined): boolean | string | undefined {
  const value = text?.trim();
  if (value === undefined) return undefined;
  if (texts !== undefined) return texts.includes(value) ? value : undefined;
  return value.toLowerCase() === 'true';
}
