import type { VirtualMachineConfigSpec } from '@hypostyle/vim';
import { invalid } from './invalid.ts';
import type { MachineConfiguration } from './machine-configuration.ts';

/** One member of a spec that is a key of the `.vmx` and nothing more. */
interface Setting<T> {
  /** Path within the spec, such as `tools.afterPowerOn`. */
  readonly member: string;
  /** Key of the `.vmx`. */
  readonly key: string;
  readonly byDefault: T;
  /** What the `.vmx` has, as a value; undefined when it is none. */
  parse(text: string): T | undefined;
  /** What a client gave, as the `.vmx` has it; undefined when it cannot be. */
  print(value: unknown): string | undefined;
}

function flag(member: string, key: string, byDefault: boolean): Setting<boolean> {
  return {
    member,
    key,
    byDefault,
    parse: (text) => (/^(true|1|yes)$/i.test(text) ? true : /^(false|0|no)$/i.test(text) ? false : undefined),
    print: (value) => (typeof value === 'boolean' ? (value ? 'TRUE' : 'FALSE') : undefined),
  };
}

function integer(member: string, key: string, byDefault: number, least: number, most: number): Setting<number> {
  const within = (number: number) => Number.isSafeInteger(number) && number >= least && number <= most;
  return {
    member,
    key,
    byDefault,
    parse: (text) => (within(Number(text)) && text !== '' ? Number(text) : undefined),
    print: (value) => (within(Number(value)) ? String(value) : undefined),
  };
}

function word<const W extends string>(member: string, key: string, words: readonly [W, ...W[]]): Setting<W> {
  const find = (text: unknown) => words.find((known) => known.toLowerCase() === String(text).toLowerCase());
  return { member, key, byDefault: words[0], parse: find, print: find };
}

function text(member: string, key: string, most: number): Setting<string> {
  return {
    member,
    key,
    byDefault: '',
    parse: (value) => value,
    print: (value) =>
      typeof value === 'string' && value.length <= most && !/[\u0000-\u001f\u007f]/.test(value) ? value : undefined,
  };
}

/**
 * Members of a spec that are kept in the `.vmx` under the keys that VMware has for them, and shown as they were set.
 * They stay among the extra configuration: a client that sets `disk.EnableUUID` there has set the flag.
 */
export const settings = {
  alternateGuestName: text('alternateGuestName', 'guestOSAltName', 200),
  locationId: text('locationId', 'uuid.location', 100),
  afterPowerOn: flag('tools.afterPowerOn', 'toolScripts.afterPowerOn', true),
  afterResume: flag('tools.afterResume', 'toolScripts.afterResume', true),
  beforeGuestStandby: flag('tools.beforeGuestStandby', 'toolScripts.beforeSuspend', true),
  beforeGuestShutdown: flag('tools.beforeGuestShutdown', 'toolScripts.beforePowerOff', true),
  beforeGuestReboot: flag('tools.beforeGuestReboot', 'toolScripts.beforeReboot', false),
  toolsUpgradePolicy: word('tools.toolsUpgradePolicy', 'tools.upgrade.policy', ['manual', 'upgradeAtPowerCycle']),
  syncTimeWithHost: flag('tools.syncTimeWithHost', 'tools.syncTime', false),
  syncTimeAllowed: flag('tools.syncTimeWithHostAllowed', 'time.synchronize.allow', true),
  enableLogging: flag('flags.enableLogging', 'logging', true),
  htSharing: word('flags.htSharing', 'sched.cpu.htsharing', ['any', 'none', 'internal']),
  snapshotDisabled: flag('flags.snapshotDisabled', 'snapshot.disabled', false),
  snapshotLocked: flag('flags.snapshotLocked', 'snapshot.locked', false),
  diskUuidEnabled: flag('flags.diskUuidEnabled', 'disk.EnableUUID', false),
  virtualMmuUsage: word('flags.virtualMmuUsage', 'monitor.virtual_mmu', ['automatic', 'on', 'off']),
  virtualExecUsage: word('flags.virtualExecUsage', 'monitor.virtual_exec', ['hvAuto', 'hvOn', 'hvOff']),
  powerOnWhenOpened: flag('consolePreferences.powerOnWhenOpened', 'gui.powerOnAtStartup', false),
  enterFullScreenOnPowerOn: flag('consolePreferences.enterFullScreenOnPowerOn', 'gui.fullScreenAtPowerOn', false),
  closeOnPowerOffOrSuspend: flag('consolePreferences.closeOnPowerOffOrSuspend', 'gui.exitAtPowerOff', false),
  powerOffType: word('powerOpInfo.powerOffType', 'powerType.powerOff', ['soft', 'hard', 'preset']),
  suspendType: word('powerOpInfo.suspendType', 'powerType.suspend', ['hard', 'soft', 'preset']),
  resetType: word('powerOpInfo.resetType', 'powerType.reset', ['soft', 'hard', 'preset']),
  standbyAction: word('powerOpInfo.standbyAction', 'chipset.standbyAction', ['checkpoint', 'powerOnSuspend']),
  cpuHotRemove: flag('cpuHotRemoveEnabled', 'vcpu.hotremove', false),
  latency: word('latencySensitivity.level', 'sched.cpu.latencySensitivity', ['normal', 'low', 'medium', 'high']),
  swapPlacement: word('swapPlacement', 'sched.swap.placement', ['inherit', 'vmDirectory', 'hostLocal']),
  bootRetryEnabled: flag('bootOptions.bootRetryEnabled', 'bios.bootRetry.enabled', false),
  bootRetryDelay: integer('bootOptions.bootRetryDelay', 'bios.bootRetry.delay', 10_000, 0, 10_000_000),
  maxMksConnections: integer('maxMksConnections', 'RemoteDisplay.maxConnections', 40, 1, 40),
  guestAutoLock: flag('guestAutoLockEnabled', 'tools.guest.desktop.autolock', false),
  managedByExtension: text('managedBy.extensionKey', 'managedBy.extensionKey', 256),
  managedByType: text('managedBy.type', 'managedBy.type', 256),
  memoryLocked: flag('memoryReservationLockedToMax', 'sched.mem.pin', false),
} satisfies Readonly<Record<string, Setting<unknown>>>;

type Settings = typeof settings;
type ValueOf<S> = S extends Setting<infer T> ? T : never;

type Entries = MachineConfiguration['extra'];

/** The value of a setting; its default where the `.vmx` says nothing that can be understood. */
export function setting<N extends keyof Settings>(
  { extra }: Pick<MachineConfiguration, 'extra'>,
  name: N,
): ValueOf<Settings[N]> {
  const { key, byDefault, parse } = settings[name] as Setting<ValueOf<Settings[N]>>;
  const found = findEntry(extra, key);
  return found === undefined ? byDefault : (parse(found) ?? byDefault);
}

/** What the `.vmx` has for a key that is no part of the typed configuration. */
export function findEntry(entries: Entries, key: string): string | undefined {
  const lower = key.toLowerCase();
  return entries.find(([known]) => known.toLowerCase() === lower)?.[1];
}

/** The entries with one set; an empty value takes it away. */
export function withEntry(entries: Entries, key: string, value: string): Entries {
  const lower = key.toLowerCase();
  const at = entries.findIndex(([known]) => known.toLowerCase() === lower);
  if (value === '') return at < 0 ? entries : entries.toSpliced(at, 1);
  if (at < 0) return [...entries, [key, value]];
  return entries[at]?.[1] === value ? entries : entries.toSpliced(at, 1, [entries[at]?.[0] ?? key, value]);
}

/** Writes what a spec says of the settings. A value that is the default is written only over another one. */
export function applySettings(before: Entries, spec: VirtualMachineConfigSpec): Entries {
  let entries = before;
  for (const one of Object.values(settings) as Setting<unknown>[]) {
    const value = memberOf(spec, one.member);
    if (value === undefined) continue;
    const printed = one.print(value);
    if (printed === undefined) throw invalid(one.member, `'${String(value).slice(0, 60)}' is not possible`);
    const found = findEntry(entries, one.key);
    if ((found === undefined ? one.byDefault : one.parse(found)) !== one.parse(printed)) {
      entries = withEntry(entries, one.key, printed);
    }
  }
  return entries;
}

/** What a spec has at a path such as `tools.afterPowerOn`. */
export function memberOf(spec: object, path: string): unknown {
  let value: unknown = spec;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
