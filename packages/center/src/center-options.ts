import { data, type OptionDefinition } from '@hypostyle/vim';

export interface CenterFacts {
  /** Name of the machine that the center runs on. */
  readonly hostName: string;
  /** Seconds that a host may be silent. */
  readonly heartbeat: number;
}

/** Days that events and tasks are kept unless somebody says otherwise. */
const keptDays = 30;

/** Settings of a center: those that clients read, and those that something here goes by. */
export function centerOptions({ hostName, heartbeat }: CenterFacts): OptionDefinition[] {
  const text = (key: string, label: string, defaultValue: string, valueIsReadonly: boolean): OptionDefinition => ({
    key,
    label,
    type: data('StringOption', { valueIsReadonly, defaultValue }),
  });
  const number = (key: string, label: string, defaultValue: number): OptionDefinition => ({
    key,
    label,
    type: data('IntOption', { valueIsReadonly: true, defaultValue, min: 0, max: 2 ** 31 - 1 }),
  });
  return [
    text('VirtualCenter.InstanceName', 'Name that people know this center by', hostName, false),
    text('VirtualCenter.FQDN', 'Name of the machine that the center runs on', hostName, true),
    text('config.vpxd.hostnameUrl', 'Name by which the center is reached', hostName, true),
    ...(['event', 'task'] as const).flatMap((what) => [
      {
        key: `${what}.maxAge`,
        label: `Days that ${what}s are kept`,
        type: data('IntOption', { valueIsReadonly: false, defaultValue: keptDays, min: 1, max: 36_500 }),
      },
      {
        key: `${what}.maxAgeEnabled`,
        label: `Older ${what}s are forgotten`,
        type: data('BoolOption', { valueIsReadonly: false, supported: true, defaultValue: true }),
      },
    ]),
    number('config.vpxd.heartbeat.notrespondingTimeout', 'Seconds that a host may be silent', heartbeat),
  ];
}
