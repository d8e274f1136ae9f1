import { data, type LockOutPolicy, type OptionDefinition, type OptionService } from '@hypostyle/vim';

export const welcomeMessageKey = 'Annotations.WelcomeMessage';
const lockFailuresKey = 'Security.AccountLockFailures';
const unlockTimeKey = 'Security.AccountUnlockTime';

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
];

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
