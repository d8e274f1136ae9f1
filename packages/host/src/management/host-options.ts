import { data, type LockOutPolicy, type OptionDefinition, type OptionService } from '@hypostyle/vim';
import { settleRateKey, settleVerifyKey } from '../machine/settle/settle-policy.ts';

export const welcomeMessageKey = 'Annotations.WelcomeMessage';
const lockFailuresKey = 'Security.AccountLockFailures';
const pullNearbyKey = 'hypostyle.pull.nearby';
const unlockTimeKey = 'Security.AccountUnlockTime';

/** How disks settle that machines run from before they are inflated. */
const settleOptions: readonly OptionDefinition[] = [
  {
    key: settleRateKey,
    label: 'How fast disks settle that came compressed, in MB of the disk a second; 0: as fast as the host can',
    type: longOption({ min: 0, max: 100_000, defaultValue: 0 }),
  },
  {
    key: settleVerifyKey,
    label: 'Whether such disks are checked before their machine may start, or in the background',
    type: data('ChoiceOption', {
      valueIsReadonly: false,
      defaultIndex: 0,
      choiceInfo: [
        data('ElementDescription', {
          key: 'background',
          label: 'In the background',
          summary: 'Machines start at once',
        }),
        data('ElementDescription', { key: 'before', label: 'Before', summary: 'Machines start when all is checked' }),
      ],
    }),
  },
];

/** Advanced options of a host: those that something here goes by, with the bounds that ESXi gives them. */
export const hostOptions: readonly OptionDefinition[] = [
  {
    key: welcomeMessageKey,
    label: 'Message that clients show to everybody who signs in',
    type: data('StringOption', { valueIsReadonly: false, defaultValue: '' }),
  },
  {
    key: lockFailuresKey,
    label: 'Failed sign-ins after which an account is locked; 0 locks none',
    type: longOption({ min: 0, max: 100, defaultValue: 5 }),
  },
  {
    key: unlockTimeKey,
    label: 'Seconds for which an account stays locked',
    type: longOption({ min: 60, max: 3_600, defaultValue: 900 }),
  },
  ...settleOptions,
  {
    key: pullNearbyKey,
    label:
      'Whether leases may pull from addresses of the host itself (127.0.0.0/8, ::1) and of its link (169.254.0.0/16)',
    type: data('BoolOption', { valueIsReadonly: false, supported: true, defaultValue: false }),
  },
];

/** Whether leases may pull from where only the host itself, or who is on its link, can ask. */
export function mayPullNearby(options: Pick<OptionService, 'value'>): boolean {
  return options.value(pullNearbyKey) === true;
}

/** When the host locks accounts, as its options say now. Failures count until the next sign-in. */
export function hostLockOut(options: Pick<OptionService, 'value'>): LockOutPolicy {
  return {
    attempts: wholeNumber(options.value(lockFailuresKey)),
    intervalMilliseconds: Number.POSITIVE_INFINITY,
    unlockMilliseconds: wholeNumber(options.value(unlockTimeKey)) * 1_000,
  };
}

function longOption(bounds: { readonly min: number; readonly max: number; readonly defaultValue: number }) {
  return data('LongOption', { valueIsReadonly: false, ...bounds });
}

/** An integer option, in whichever integer type a client has set it. */
function wholeNumber(value: ReturnType<OptionService['value']>): number {
  return Number(typeof value === 'object' && '_value' in value ? value._value : value);
}
