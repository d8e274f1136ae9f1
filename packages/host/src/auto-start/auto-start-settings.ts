import {
  type AutoStartDefaults,
  type AutoStartPowerInfo,
  data,
  fault,
  type HostAutoStartManagerConfig,
  type VimFault,
} from '@hypostyle/vim';

/** What is done with machines as their host starts, and as they are stopped together; JSON, as the store keeps it. */
export interface AutoStartSettings {
  readonly defaults: {
    readonly enabled: boolean;
    /** Seconds. */
    readonly startDelay: number;
    /** Seconds. */
    readonly stopDelay: number;
    readonly waitForHeartbeat: boolean;
    readonly stopAction: StopAction;
  };
  /** In the order in which they were set first. */
  readonly machines: readonly MachineAutoStart[];
}

type StopAction = 'none' | 'powerOff' | 'guestShutdown' | 'suspend';

export interface MachineAutoStart {
  readonly machine: string;
  /** 1 and above; −1: after all that have one. */
  readonly startOrder: number;
  /** Seconds; −1: as the defaults say, as of the stop. */
  readonly startDelay: number;
  readonly waitForHeartbeat: 'yes' | 'no' | 'systemDefault';
  readonly startAction: 'none' | 'powerOn';
  readonly stopDelay: number;
  readonly stopAction: StopAction | 'systemDefault';
}

/** As hosts come: nothing starts by itself. */
export const initialAutoStart: AutoStartSettings = {
  defaults: { enabled: false, startDelay: 120, stopDelay: 120, waitForHeartbeat: false, stopAction: 'powerOff' },
  machines: [],
};

/**
 * Settings with what a spec changes: members of the defaults that it names, and machines by their own entry. A machine
 * that takes no part any more has none. Throws InvalidArgument.
 */
export function changedAutoStart(
  settings: AutoStartSettings,
  spec: HostAutoStartManagerConfig,
  isThere: (machine: string) => boolean,
): AutoStartSettings {
  const defaults = changedDefaults(settings.defaults, spec.defaults);
  const machines = new Map(settings.machines.map((each) => [each.machine, each]));
  for (const info of spec.powerInfo ?? []) {
    const { value } = info.key;
    if (!isThere(value)) throw invalid('powerInfo.key', `There is no machine ${value} here.`);
    const entry = entryOf(info);
    if (entry.startAction === 'none' && entry.stopAction === 'none') machines.delete(value);
    else machines.set(value, entry);
  }
  return { defaults, machines: [...machines.values()].filter(({ machine }) => isThere(machine)) };
}

/** The settings as the interface shows them, of machines that are there. */
export function shownAutoStart(
  { defaults, machines }: AutoStartSettings,
  isThere: (machine: string) => boolean,
): HostAutoStartManagerConfig {
  return data('HostAutoStartManagerConfig', {
    defaults: data('AutoStartDefaults', defaults),
    powerInfo: machines.flatMap(({ machine, ...entry }) =>
      isThere(machine)
        ? [
            data('AutoStartPowerInfo', {
              key: { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: machine },
              ...entry,
            }),
          ]
        : [],
    ),
  });
}

/** A machine's turn as machines are started or stopped one after another. */
export interface Turn {
  readonly machine: string;
  readonly action: 'powerOn' | Exclude<StopAction, 'none'>;
  /** Seconds until the next one's turn, at most. */
  readonly delay: number;
  /** The next one's turn comes once the guest has said that it is up. */
  readonly endsByHeartbeat: boolean;
}

/** Machines that start with their host, in order; none where that is switched off. */
export function startTurns({ defaults, machines }: AutoStartSettings): Turn[] {
  if (!defaults.enabled) return [];
  return inOrder(machines)
    .filter(({ startAction }) => startAction === 'powerOn')
    .map(({ machine, startDelay, waitForHeartbeat }) => ({
      machine,
      action: 'powerOn',
      delay: startDelay < 0 ? defaults.startDelay : startDelay,
      endsByHeartbeat: waitForHeartbeat === 'systemDefault' ? defaults.waitForHeartbeat : waitForHeartbeat === 'yes',
    }));
}

/** Machines that are stopped together, the last that starts first. */
export function stopTurns({ defaults, machines }: AutoStartSettings): Turn[] {
  if (!defaults.enabled) return [];
  return inOrder(machines)
    .reverse()
    .flatMap(({ machine, stopDelay, stopAction }) => {
      const action = stopAction === 'systemDefault' ? defaults.stopAction : stopAction;
      const delay = stopDelay < 0 ? defaults.stopDelay : stopDelay;
      return action === 'none' ? [] : [{ machine, action, delay, endsByHeartbeat: false }];
    });
}

function inOrder(machines: readonly MachineAutoStart[]): MachineAutoStart[] {
  const place = ({ startOrder }: MachineAutoStart) => (startOrder > 0 ? startOrder : Number.POSITIVE_INFINITY);
  return machines.toSorted((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
}

function changedDefaults(
  before: AutoStartSettings['defaults'],
  change: AutoStartDefaults | undefined,
): AutoStartSettings['defaults'] {
  if (change === undefined) return before;
  const { enabled, startDelay, stopDelay, waitForHeartbeat, stopAction } = change;
  return {
    enabled: enabled ?? before.enabled,
    startDelay: startDelay === undefined ? before.startDelay : seconds(startDelay, 0, 'defaults.startDelay'),
    stopDelay: stopDelay === undefined ? before.stopDelay : seconds(stopDelay, 0, 'defaults.stopDelay'),
    waitForHeartbeat: waitForHeartbeat ?? before.waitForHeartbeat,
    stopAction: stopAction === undefined ? before.stopAction : word(stopAction, stopActions, 'defaults.stopAction'),
  };
}

const stopActions = ['none', 'powerOff', 'guestShutdown', 'suspend'] as const;

function entryOf(info: AutoStartPowerInfo): MachineAutoStart {
  if (info.startOrder !== -1 && info.startOrder < 1)
    throw invalid('powerInfo.startOrder', 'An order is 1 or more, or -1 for none.');
  return {
    machine: info.key.value,
    startOrder: info.startOrder,
    startDelay: seconds(info.startDelay, -1, 'powerInfo.startDelay'),
    waitForHeartbeat: info.waitForHeartbeat,
    startAction: word(info.startAction, ['none', 'powerOn'] as const, 'powerInfo.startAction'),
    stopDelay: seconds(info.stopDelay, -1, 'powerInfo.stopDelay'),
    stopAction: word(info.stopAction, ['systemDefault', ...stopActions] as const, 'powerInfo.stopAction'),
  };
}

function seconds(value: number, least: -1 | 0, property: string): number {
  if (value >= least) return value;
  throw invalid(
    property,
    `A delay is ${least === 0 ? '0 seconds or more' : '0 seconds or more, or -1 for the default'}.`,
  );
}

/** One of the words that are known, however its letters are written: clients differ in that. */
function word<W extends string>(value: string, words: readonly W[], property: string): W {
  const found = words.find((each) => each.toLowerCase() === value.toLowerCase());
  if (found !== undefined) return found;
  throw invalid(property, `'${value.slice(0, 100)}' is not one of ${words.join(', ')}.`);
}

function invalid(invalidProperty: string, message: string): VimFault {
  return fault('InvalidArgument', { invalidProperty: `spec.${invalidProperty}` }, message);
}
